/** Files of a folder on the hub's port, for whoever wants a page there too. */
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { refuseNotFound } from "./answers.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".map": "application/json",
};

/** Serves the files of a folder, `index.html` at `/`. */
export function files(folder: string): RequestListener {
  return (request, response) => {
    const name = fileName(request.url ?? "/");
    const type = name === undefined ? undefined : types[extname(name)];
    if (name === undefined || type === undefined || (request.method !== "GET" && request.method !== "HEAD")) {
      return refuseNotFound(response);
    }
    readFile(join(folder, name)).then(
      (content) => {
        response.writeHead(200, {
          "content-type": type,
          "content-length": content.length,
          "cache-control": "no-cache",
          "x-content-type-options": "nosniff",
        });
        response.end(request.method === "HEAD" ? undefined : content);
      },
      () => refuseNotFound(response),
    );
  };
}

/** The file a URL names inside the folder; `undefined` where it would lead out of it. */
function fileName(url: string): string | undefined {
  const path = url.split(/[?#]/, 1)[0] as string;
  let name: string;
  try {
    name = normalize(decodeURIComponent(path === "/" ? "/index.html" : path));
  } catch {
    return undefined;
  }
  return name.split(sep).includes("..") || name.includes("\0") ? undefined : name;
}
