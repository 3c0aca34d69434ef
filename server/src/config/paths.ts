/** The paths of a configuration, read off its schema: `limits.messageBytesMax`. */
import { z } from "zod";

export type Schema = z.core.$ZodType;

/** Whether an object's keys are free, as the names of namespaces are. */
type Named = z.ZodRecord<z.core.$ZodRecordKey, Schema>;

/** The schema without what says that a value may be left out, or null. */
export function bare(schema: Schema): Schema {
  let inner = schema;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodExactOptional ||
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodReadonly
  ) {
    inner = inner.unwrap();
  }
  return inner;
}

/** The keys that an object may have, where they are not free. */
export function childrenOf(schema: Schema): string[] {
  const object = bare(schema);
  return object instanceof z.ZodObject ? Object.keys(object.shape) : [];
}

/** What is at a path; undefined where there can be nothing. */
export function schemaAt(schema: Schema, path: readonly string[]): Schema | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return schema;
  const holder = bare(schema);
  if (holder instanceof z.ZodObject) {
    return Object.hasOwn(holder.shape, key) ? schemaAt(holder.shape[key], rest) : undefined;
  }
  // A name could be taken for an object's prototype.
  return isNamed(holder) && key !== "__proto__" ? schemaAt(holder.valueType, rest) : undefined;
}

/** Whether a schema is one of objects by name. Capabilities are not: their patterns have dots, as paths have. */
function isNamed(schema: Schema): schema is Named {
  return schema instanceof z.ZodRecord && bare(schema.valueType) instanceof z.ZodObject;
}

/** Every path that the schema names: of values, and of the objects that hold them. */
export function pathsOf(schema: Schema): string[][] {
  const object = bare(schema);
  if (!(object instanceof z.ZodObject)) return [];
  return Object.entries(object.shape as Record<string, Schema>).flatMap(([key, child]) => [
    [key],
    ...pathsOf(child).map((path) => [key, ...path]),
  ]);
}

/** Every path that ends at a value, and not at an object whose keys the schema names. */
export function leavesOf(schema: Schema): string[][] {
  return pathsOf(schema).filter((path) => !(bare(schemaAt(schema, path) as Schema) instanceof z.ZodObject));
}
