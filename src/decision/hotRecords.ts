/** What Redis holds of purses and reservations, as reserve.lua packs it. */

/** Redis cannot be asked, did not answer in time, or has just changed its epoch: nothing may be concluded. */
export class HotStateUnavailable extends Error {
  override readonly name = 'HotStateUnavailable'
}

/** A reservation that Redis holds. */
export interface OpenReservation {
  readonly key: string
  readonly keyDate: string
  readonly purseId: number
  readonly madeMs: number
}

const DOUBLE_BYTES = 8
const PURSE_DOUBLES = 16
const FIRST_RESERVED = 10

/** A purse as reserve.lua packs it. */
export function hotPurse(record: Buffer): { epoch: number; version: number; balance: number; reserved: number[] } {
  const [epoch = 0, version = 0, , balance = 0, ...rest] = doubles(record, PURSE_DOUBLES)
  return { epoch, version, balance, reserved: rest.slice(FIRST_RESERVED - 4) }
}

const RESERVATION_DOUBLES = 8

/** Keys and values of the reservations as reserve.lua packs them. */
export function openReservations(entries: readonly Buffer[]): OpenReservation[] {
  const found: OpenReservation[] = []
  for (let i = 0; i + 1 < entries.length; i += 2) {
    const [, , , , , madeMs = 0, keyDate = 0, purseId = 0] = doubles(entries[i + 1] ?? Buffer.alloc(0), RESERVATION_DOUBLES)
    found.push({ key: entries[i]?.toString() ?? '', keyDate: dayText(keyDate), purseId, madeMs })
  }
  return found
}

function doubles(packed: Buffer, count: number): number[] {
  if (packed.length < count * DOUBLE_BYTES) throw new HotStateUnavailable('Redis holds a record of another form')
  return Array.from({ length: count }, (_, index) => packed.readDoubleLE(index * DOUBLE_BYTES))
}

function dayText(day: number): string {
  const digits = String(day)
  return `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6, 8)}`
}
