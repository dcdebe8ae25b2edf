/** Lines of a CSV file (RFC 4180). */

/** What a spreadsheet would take for a formula begins with an apostrophe instead: names come from outside. */
export function csvText(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** @param fields texts from outside, which are made harmless; numbers as `plain` are left as they are */
export function csvLine(fields: readonly (string | { readonly plain: string })[]): string {
  return `${fields.map((field) => (typeof field === 'string' ? csvText(field) : field.plain)).join(',')}\r\n`
}
