/**
 * How DUKPT gets from an initial key to the key of a counter: over one key for each bit that is set, from the left. Making a key takes new
 * cipher objects, which is nearly all that it costs; so the way to the last counter is remembered, of which the next one shares most.
 */

/** @param counter not 0. @returns the key, the caller's own copy */
export type CounterKeys = (counter: number) => Buffer

/** @param step the key of `counter` out of the one before its last bit was set */
export function dukptPath(initialKey: Uint8Array, step: (key: Buffer, counter: number) => Buffer): CounterKeys {
  const first = Buffer.from(initialKey)
  const path: { readonly counter: number; readonly key: Buffer }[] = []
  return (counter) => {
    for (let last = path.at(-1); last !== undefined && !leadsTo(last.counter, counter); last = path.at(-1)) {
      last.key.fill(0)
      path.pop()
    }
    let { counter: reached, key } = path.at(-1) ?? { counter: 0, key: first }
    for (let toGo = (counter ^ reached) >>> 0; toGo !== 0; toGo = (counter ^ reached) >>> 0) {
      reached = (reached | (0x80000000 >>> Math.clz32(toGo))) >>> 0
      key = step(key, reached)
      path.push({ counter: reached, key })
    }
    return Buffer.from(key)
  }
}

/** `reached` is what `counter` begins with, down to the last bit of `reached`. */
function leadsTo(reached: number, counter: number): boolean {
  const lastBit = reached & -reached
  return (counter & ~(lastBit - 1)) >>> 0 === reached
}
