/** The retrieval reference number of a transaction that came as JSON, which has no time and trace number to make one of. */
import { createHash } from 'node:crypto'

const DAY_MS = 86_400_000

/** `yDDD`, as is customary, then eight letters or digits that follow from the key: DE 37 is an 12. */
export function jsonReference(ledgerKey: string, keyDate: string): string {
  const year = keyDate.slice(0, 4)
  const dayOfYear = (Date.parse(keyDate) - Date.parse(`${year}-01-01`)) / DAY_MS + 1
  const digest = createHash('sha256').update(`rrn|${ledgerKey}`).digest()
  const tail = digest.readUIntBE(0, 6).toString(36).toUpperCase().slice(-8).padStart(8, '0')
  return year.slice(3) + String(dayOfYear).padStart(3, '0') + tail
}
