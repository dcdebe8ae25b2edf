/**
 * DES in two words, for keys that live for one message: the master key of a chip card and the session keys that are derived from it.
 *
 * Why it is there: node:crypto makes a cipher object for each key, and making one costs more than all the blocks that a cryptogram has: a
 * session key, a cryptogram and its answer take more than ten times as long with it.
 * What it is not for: keys that stay (those are behind a KeyHandle and use node:crypto or a token), and single DES as a protection of its
 * own. It is not constant time with respect to caches: the addresses of its table look-ups come from key and data, so nobody else's code
 * may run where it runs.
 *
 * FIPS 46-3; the tables of permutations and S-boxes are the standard's, bits numbered from 1 at the left.
 */

export const DES_BLOCK = 8

/** Two DES keys, 16 rounds each with two words: what one double length key becomes. */
export type KeySchedule = Int32Array
const SCHEDULE_WORDS = 32

/**
 * @param key 16 bytes, parity is not looked at
 * @param into overwritten and returned: a batch takes one schedule for all of its keys
 */
export function scheduleKey(key: Uint8Array, into: KeySchedule = new Int32Array(2 * SCHEDULE_WORDS)): KeySchedule {
  scheduleHalf(key, 0, into, 0)
  scheduleHalf(key, DES_BLOCK, into, SCHEDULE_WORDS)
  return into
}

/** Triple DES with two keys (ISO/IEC 18033-3 4.2, option 2), ECB over whole blocks. */
export function encryptTriple(schedule: KeySchedule, blocks: Uint8Array): Buffer {
  const result = Buffer.allocUnsafe(blocks.length)
  for (let at = 0; at < blocks.length; at += DES_BLOCK) {
    load(blocks, at)
    triple(schedule)
    store(result, at)
  }
  return result
}

/**
 * The MAC of EMV cryptograms: ISO/IEC 9797-1 algorithm 3 with DES (EMV Book 2 A1.2.1). The first key chains the blocks, the last one is
 * deciphered with the second and enciphered with the first again.
 *
 * @param data whole blocks, padded already
 * @returns 8 bytes
 */
export function macTriple(schedule: KeySchedule, data: Uint8Array, length = data.length): Buffer {
  let high = 0
  let low = 0
  for (let at = 0; at < length; at += DES_BLOCK) {
    load(data, at)
    left ^= high
    right ^= low
    if (at + DES_BLOCK < length) single(schedule)
    else triple(schedule)
    high = left
    low = right
  }
  const mac = Buffer.allocUnsafe(DES_BLOCK)
  store(mac, 0)
  return mac
}

// The block at work. Everything here runs to its end in one go, so one is enough and no block costs an object.
let left = 0
let right = 0

function load(bytes: Uint8Array, at: number): void {
  left = (byte(bytes, at) << 24) | (byte(bytes, at + 1) << 16) | (byte(bytes, at + 2) << 8) | byte(bytes, at + 3)
  right = (byte(bytes, at + 4) << 24) | (byte(bytes, at + 5) << 16) | (byte(bytes, at + 6) << 8) | byte(bytes, at + 7)
}

function store(bytes: Uint8Array, at: number): void {
  bytes[at] = left >>> 24
  bytes[at + 1] = left >>> 16
  bytes[at + 2] = left >>> 8
  bytes[at + 3] = left
  bytes[at + 4] = right >>> 24
  bytes[at + 5] = right >>> 16
  bytes[at + 6] = right >>> 8
  bytes[at + 7] = right
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}

function single(schedule: KeySchedule): void {
  initialPermutation()
  encipher(schedule, 0)
  finalPermutation()
}

/** Encipher, decipher, encipher: the permutations between the three undo each other. */
function triple(schedule: KeySchedule): void {
  initialPermutation()
  encipher(schedule, 0)
  decipher(schedule, SCHEDULE_WORDS)
  encipher(schedule, 0)
  finalPermutation()
}

/** Sixteen rounds, two at a time so that the halves need not change places, and the exchange at the end. */
function encipher(schedule: KeySchedule, from: number): void {
  let l = left
  let r = right
  for (let at = from; at < from + SCHEDULE_WORDS; at += 4) {
    l ^= round(r, word(schedule, at), word(schedule, at + 1))
    r ^= round(l, word(schedule, at + 2), word(schedule, at + 3))
  }
  left = r
  right = l
}

function decipher(schedule: KeySchedule, from: number): void {
  let l = left
  let r = right
  for (let at = from + SCHEDULE_WORDS - 4; at >= from; at -= 4) {
    l ^= round(r, word(schedule, at + 2), word(schedule, at + 3))
    r ^= round(l, word(schedule, at), word(schedule, at + 1))
  }
  left = r
  right = l
}

function word(words: Int32Array, at: number): number {
  return words[at] ?? 0
}

/**
 * The cipher function f. Expansion E takes six neighbouring bits eight times, overlapping by two: rotated right by 1 the word has groups
 * 1, 3, 5, 7 at the left of its bytes, rotated left by 3 it has groups 2, 4, 6, 8. Subkeys come in the same two shapes.
 */
function round(half: number, oddKey: number, evenKey: number): number {
  const odd = ((half >>> 1) | (half << 31)) ^ oddKey
  const even = ((half << 3) | (half >>> 29)) ^ evenKey
  return (
    word(SP, odd >>> 26) ^
    word(SP, 0x080 | ((odd >>> 18) & 63)) ^
    word(SP, 0x100 | ((odd >>> 10) & 63)) ^
    word(SP, 0x180 | ((odd >>> 2) & 63)) ^
    word(SP, 0x040 | (even >>> 26)) ^
    word(SP, 0x0c0 | ((even >>> 18) & 63)) ^
    word(SP, 0x140 | ((even >>> 10) & 63)) ^
    word(SP, 0x1c0 | ((even >>> 2) & 63))
  )
}

/** IP, as five exchanges of bits between the halves. */
function initialPermutation(): void {
  exchange(4, 0x0f0f0f0f)
  exchange(16, 0x0000ffff)
  exchangeBack(2, 0x33333333)
  exchangeBack(8, 0x00ff00ff)
  exchange(1, 0x55555555)
}

/** IP reversed: each exchange undoes itself. */
function finalPermutation(): void {
  exchange(1, 0x55555555)
  exchangeBack(8, 0x00ff00ff)
  exchangeBack(2, 0x33333333)
  exchange(16, 0x0000ffff)
  exchange(4, 0x0f0f0f0f)
}

function exchange(distance: number, mask: number): void {
  const differing = ((left >>> distance) ^ right) & mask
  right ^= differing
  left ^= differing << distance
}

function exchangeBack(distance: number, mask: number): void {
  const differing = ((right >>> distance) ^ left) & mask
  left ^= differing
  right ^= differing << distance
}

/** PC-1, sixteen times the shift and PC-2: each a few look-ups, because a permutation of a word is the sum of those of its parts. */
function scheduleHalf(key: Uint8Array, keyAt: number, into: KeySchedule, intoAt: number): void {
  let c = 0
  let d = 0
  for (let i = 0; i < DES_BLOCK; i++) {
    const at = (i << 8) | byte(key, keyAt + i)
    c |= word(PC1_C, at)
    d |= word(PC1_D, at)
  }
  for (let r = 0; r < ROUNDS; r++) {
    const shift = SHIFTS[r] ?? 0
    c = ((c << shift) | (c >>> (28 - shift))) & 0x0fffffff
    d = ((d << shift) | (d >>> (28 - shift))) & 0x0fffffff
    const c1 = c >>> 21
    const c2 = 0x080 | ((c >>> 14) & 127)
    const c3 = 0x100 | ((c >>> 7) & 127)
    const c4 = 0x180 | (c & 127)
    const d1 = 0x200 | (d >>> 21)
    const d2 = 0x280 | ((d >>> 14) & 127)
    const d3 = 0x300 | ((d >>> 7) & 127)
    const d4 = 0x380 | (d & 127)
    into[intoAt + 2 * r] =
      word(PC2_ODD, c1) |
      word(PC2_ODD, c2) |
      word(PC2_ODD, c3) |
      word(PC2_ODD, c4) |
      word(PC2_ODD, d1) |
      word(PC2_ODD, d2) |
      word(PC2_ODD, d3) |
      word(PC2_ODD, d4)
    into[intoAt + 2 * r + 1] =
      word(PC2_EVEN, c1) |
      word(PC2_EVEN, c2) |
      word(PC2_EVEN, c3) |
      word(PC2_EVEN, c4) |
      word(PC2_EVEN, d1) |
      word(PC2_EVEN, d2) |
      word(PC2_EVEN, d3) |
      word(PC2_EVEN, d4)
  }
}

const ROUNDS = 16
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1]

// prettier-ignore
const PERMUTED_CHOICE_1 = [
  57, 49, 41, 33, 25, 17,  9,  1, 58, 50, 42, 34, 26, 18, 10,  2, 59, 51, 43, 35, 27, 19, 11,  3, 60, 52, 44, 36,
  63, 55, 47, 39, 31, 23, 15,  7, 62, 54, 46, 38, 30, 22, 14,  6, 61, 53, 45, 37, 29, 21, 13,  5, 28, 20, 12,  4,
]
// prettier-ignore
const PERMUTED_CHOICE_2 = [
  14, 17, 11, 24,  1,  5,  3, 28, 15,  6, 21, 10, 23, 19, 12,  4, 26,  8, 16,  7, 27, 20, 13,  2,
  41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
]
// prettier-ignore
const PERMUTATION = [16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25]

/** S1 to S8, four rows of 16 each, a hexadecimal digit an entry. */
const S_BOXES = [
  'E4D12FB83A6C5907' + '0F74E2D1A6CB9538' + '41E8D62BFC973A50' + 'FC8249175B3EA06D',
  'F18E6B34972DC05A' + '3D47F28EC01A69B5' + '0E7BA4D158C6932F' + 'D8A13F42B67C05E9',
  'A09E63F51DC7B428' + 'D709346A285ECBF1' + 'D6498F30B12C5AE7' + '1AD069874FE3B52C',
  '7DE3069A1285BC4F' + 'D8B56F03472C1AE9' + 'A690CB7DF13E5284' + '3F06A1D8945BC72E',
  '2C417AB6853FD0E9' + 'EB2C47D150FA3986' + '421BAD78F9C5630E' + 'B8C71E2D6F09A453',
  'C1AF92680D34E75B' + 'AF427C9561DE0B38' + '9EF528C3704A1DB6' + '432C95FABE17608D',
  '4B2EF08D3C975A61' + 'D0B7491AE35C2F86' + '14BDC37EAF680592' + '6BD814A7950FE23C',
  'D2846FB1A93E50C7' + '1FD8A374C56B0E92' + '7B419CE206ADF358' + '21E74A8DFC90356B',
]

/** S-boxes with permutation P behind them: box, six bits in, 32 bits out. */
const SP = substitutions()
/** PC-1 by byte of the key, its two halves of 28 bits. */
const PC1_C = firstChoices(0)
const PC1_D = firstChoices(28)
/** PC-2 by seven bits of C and then D: the groups of six bits in the two shapes that `round` takes. */
const PC2_ODD = secondChoices(0)
const PC2_EVEN = secondChoices(1)

function substitutions(): Int32Array {
  const table = new Int32Array(8 * 64)
  for (let box = 0; box < 8; box++) {
    for (let six = 0; six < 64; six++) {
      // Row is the outer two bits, column the inner four.
      const entry = ((six >> 5) << 5) | ((six & 1) << 4) | ((six >> 1) & 15)
      const nibble = Number.parseInt(S_BOXES[box]?.[entry] ?? '', 16)
      const before = nibble << (28 - 4 * box)
      let after = 0
      for (const [to, from] of PERMUTATION.entries()) after |= ((before >>> (32 - from)) & 1) << (31 - to)
      table[box * 64 + six] = after
    }
  }
  return table
}

function firstChoices(from: 0 | 28): Int32Array {
  const table = new Int32Array(DES_BLOCK * 256)
  for (let to = 0; to < 28; to++) {
    const bit = (PERMUTED_CHOICE_1[from + to] ?? 0) - 1
    for (let value = 0; value < 256; value++) {
      const at = ((bit >> 3) << 8) | value
      table[at] = word(table, at) | (((value >> (7 - (bit & 7))) & 1) << (27 - to))
    }
  }
  return table
}

function secondChoices(parity: 0 | 1): Int32Array {
  const table = new Int32Array(8 * 128)
  for (const [to, from] of PERMUTED_CHOICE_2.entries()) {
    const group = Math.floor(to / 6)
    if (group % 2 !== parity) continue
    const seventh = Math.floor((from - 1) / 7)
    const place = 31 - 8 * (group >> 1) - (to % 6)
    for (let value = 0; value < 128; value++) {
      const at = (seventh << 7) | value
      table[at] = word(table, at) | (((value >> (6 - ((from - 1) % 7))) & 1) << place)
    }
  }
  return table
}
