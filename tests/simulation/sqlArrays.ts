/** Array literals as the switch writes them for Postgres (PostgreSQL manual 8.15.6), read back. */

/** @returns the elements of a literal; of an absent array undefined @throws SyntaxError where it is none */
export function readArray(literal: unknown): (string | null)[] | undefined {
  if (literal === null || literal === undefined) return undefined
  if (Array.isArray(literal)) return (literal as (string | number | null)[]).map((one) => (one === null ? null : String(one)))
  if (typeof literal !== 'string' || !literal.startsWith('{') || !literal.endsWith('}'))
    throw new SyntaxError(`not an array literal: ${JSON.stringify(literal)}`)
  const elements: (string | null)[] = []
  if (literal === '{}') return elements
  for (let at = 1; at < literal.length;) {
    if (literal[at] === '"') {
      let text = ''
      for (at++; literal[at] !== '"'; at++) {
        if (literal[at] === '\\') at++
        text += literal[at] ?? ''
      }
      elements.push(text)
      at += 2
    } else {
      const comma = literal.indexOf(',', at)
      const end = comma < 0 ? literal.length - 1 : comma
      const text = literal.slice(at, end)
      elements.push(text === 'NULL' ? null : text)
      at = end + 1
    }
  }
  return elements
}
