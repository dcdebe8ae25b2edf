/** Code with known bugs, which only a fuzzer that sees branches finds in time: the fuzzer's own test. */
import type { Target } from './target.ts'

/** Fails for one value of four bytes, that has to be guessed byte by byte. */
export const planted: Target = {
  seeds: [Buffer.from('a seed that says nothing')],
  dictionary: [],
  bytesMax: 64,
  run(input) {
    if (input[0] !== 0xd5) return 'rejected'
    if (input[1] !== 0x17) return 'rejected'
    if (input[2] !== 0xe3) return 'rejected'
    if (input.includes(0x6b, 3)) throw new TypeError('planted')
    return 'accepted'
  },
}

/** Does not end for some inputs. */
export const plantedHang: Target = {
  seeds: [Buffer.from('a seed that ends')],
  dictionary: [],
  bytesMax: 64,
  run(input) {
    let at = 0
    // A length of 0 gets nowhere.
    while (at < input.length) at += (input[at] ?? 0) & 0x7f
    return 'accepted'
  },
}
