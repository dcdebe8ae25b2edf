/** Numbers as digits on the wire, in place. */

/** How a field's digits are coded: a character or half a byte each. An odd number of half bytes is not needed here. */
export interface DigitsPlace {
  readonly at: number
  readonly count: number
  readonly bcd: boolean
}

export function writeDigits(bytes: Uint8Array, { at, count, bcd }: DigitsPlace, value: number): void {
  let rest = value
  if (bcd) {
    for (let i = at + (count >> 1) - 1; i >= at; i--) {
      const pair = rest % 100
      bytes[i] = (Math.trunc(pair / 10) << 4) | (pair % 10)
      rest = Math.trunc(rest / 100)
    }
    return
  }
  for (let i = at + count - 1; i >= at; i--) {
    bytes[i] = 0x30 + (rest % 10)
    rest = Math.trunc(rest / 10)
  }
}

export function readDigits(bytes: Uint8Array, { at, count, bcd }: DigitsPlace): number {
  let value = 0
  if (bcd) {
    for (let i = at; i < at + (count >> 1); i++) value = value * 100 + ((bytes[i] ?? 0) >> 4) * 10 + ((bytes[i] ?? 0) & 15)
    return value
  }
  for (let i = at; i < at + count; i++) value = value * 10 + (bytes[i] ?? 0) - 0x30
  return value
}
