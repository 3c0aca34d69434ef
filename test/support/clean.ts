/** Runs in every test file: what the file started outside of its tests ends with it. */
import { afterAll } from "vitest";
import { cleanUp } from "./temp.ts";

afterAll(cleanUp);
