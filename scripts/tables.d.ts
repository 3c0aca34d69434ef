/** PROTOCOL.md with its tables of errors and limits as they should be. */
export function withTables(markdown: string): string;
