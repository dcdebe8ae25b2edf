/** Exports as CSV (RFC 4180), read as they are sent, so that a long one takes no memory. */

export function csvRow(values: readonly (string | number)[]): string {
  return `${values.map((value) => (typeof value === 'number' ? String(value) : csvText(value))).join(',')}\r\n`
}

/** What a spreadsheet would take for a formula begins with an apostrophe instead, but for a number. */
function csvText(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
