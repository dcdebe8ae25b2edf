/**
 * Message authentication codes over whole messages: the retail MAC and CMAC.
 *
 * A call of a cipher costs more than enciphering a block, so there are two ways through the same chain. Of a few messages each is one call of a
 * CBC object. Of many, all are chained side by side, in one ECB call for the n-th blocks of all of them.
 */
import { createCipheriv, type Cipheriv } from 'node:crypto'

/** ECB of whole blocks, without padding. */
export type Ecb = (blocks: Uint8Array) => Buffer

export interface MacFunction {
  /** @returns a whole block: 8 bytes with TDES, 16 with AES */
  (data: Uint8Array): Buffer
  /** The same of many messages, in order. */
  batch(messages: readonly Uint8Array[]): Buffer[]
}

/**
 * Retail MAC: ISO 9797-1 algorithm 3 with DES, padding method 1 (zeros to a whole block, none where it is one already).
 *
 * @param key 16 bytes: K1 chains the blocks, the last one passes K1, K2 and K1
 */
export function retailMac(key: Uint8Array): MacFunction {
  const k1 = key.subarray(0, DES_BLOCK)
  // Single DES is triple DES with one key three times.
  const single = Buffer.concat([k1, k1])
  return retailMacBy(ecb('des-ede', single), ecb('des-ede', key), cbcChain('des-ede-cbc', single))
}

/**
 * The same with a key that is elsewhere.
 *
 * @param single ECB of DES under K1, @param whole of triple DES under K1 K2
 * @param chain CBC under K1, where there is such a cipher: without it every block is a call of `single`
 */
export function retailMacBy(single: Ecb, whole: Ecb, chain = ecbChain(single, DES_BLOCK)): MacFunction {
  const one = (data: Uint8Array): Buffer => {
    const blocks = Buffer.alloc(paddedLength(data.length, DES_BLOCK))
    blocks.set(data)
    const lastBlock = blocks.subarray(blocks.length - DES_BLOCK)
    if (blocks.length > DES_BLOCK) xorInto(lastBlock, chain(blocks.subarray(0, blocks.length - DES_BLOCK)))
    return whole(lastBlock)
  }
  const batch = (messages: readonly Uint8Array[]): Buffer[] =>
    messages.length < SIDE_BY_SIDE_MIN ? messages.map(one) : sideBySide(messages, DES_BLOCK, () => {}, single, whole)
  return Object.assign(one, { batch })
}

/**
 * CMAC: NIST SP 800-38B.
 *
 * @param encrypt ECB under the key
 * @param blockBytes 8 with TDES, 16 with AES
 * @param chain CBC under the key, where there is such a cipher (`cbcChain`): without it every block is a call of `encrypt`
 */
export function cmac(encrypt: Ecb, blockBytes: 8 | 16, chain = ecbChain(encrypt, blockBytes)): MacFunction {
  let subkeys: readonly [Buffer, Buffer] | undefined
  const pad = (blocks: Uint8Array, dataBytes: number): void => {
    subkeys ??= subkeysOf(encrypt(Buffer.alloc(blockBytes)))
    const whole = dataBytes === blocks.length
    if (!whole) blocks[dataBytes] = 0x80
    xorInto(blocks.subarray(blocks.length - blockBytes), subkeys[whole ? 0 : 1])
  }
  const one = (data: Uint8Array): Buffer => {
    const blocks = Buffer.alloc(paddedLength(data.length, blockBytes))
    blocks.set(data)
    pad(blocks, data.length)
    return chain(blocks)
  }
  const batch = (messages: readonly Uint8Array[]): Buffer[] =>
    messages.length < SIDE_BY_SIDE_MIN ? messages.map(one) : sideBySide(messages, blockBytes, pad, encrypt, encrypt)
  return Object.assign(one, { batch })
}

/** Enciphers in CBC from a zero initial value and keeps the last block. The blocks that it is given are overwritten. */
export type CbcChain = (blocks: Buffer) => Buffer

/** One cipher object for all messages: it goes on from the last block of the one before, which is taken out of the next message's first block. */
export function cbcChain(cipher: string, key: Uint8Array): CbcChain {
  let object: Cipheriv | undefined
  let before: Buffer = Buffer.alloc(0)
  return (blocks) => {
    if (object === undefined) {
      const blockBytes = cipher.startsWith('des') ? DES_BLOCK : AES_BLOCK
      before = Buffer.alloc(blockBytes)
      object = createCipheriv(cipher, key, before).setAutoPadding(false)
    }
    xorInto(blocks, before)
    const enciphered = object.update(blocks)
    before = enciphered.subarray(enciphered.length - before.length)
    return Buffer.from(before)
  }
}

const DES_BLOCK = 8
const AES_BLOCK = 16

/** Measured with messages of 200 bytes: below, a call for each block of the longest costs more than a call for each message. */
const SIDE_BY_SIDE_MIN = 12

function ecb(cipher: string, key: Uint8Array): Ecb {
  let object: Cipheriv | undefined
  return (blocks) => (object ??= createCipheriv(cipher, key, null).setAutoPadding(false)).update(blocks)
}

function ecbChain(encrypt: Ecb, blockBytes: number): CbcChain {
  return (blocks) => {
    let chained = encrypt(blocks.subarray(0, blockBytes))
    for (let at = blockBytes; at < blocks.length; at += blockBytes) {
      xorInto(chained, blocks.subarray(at, at + blockBytes))
      chained = encrypt(chained)
    }
    return chained
  }
}

/**
 * Chains messages side by side: the longest begins alone, a shorter one joins where it has as many blocks to go, so that all meet in the
 * last block. `pad` finishes the blocks of a message, which are zero behind its data.
 */
function sideBySide(
  messages: readonly Uint8Array[],
  blockBytes: number,
  pad: (blocks: Uint8Array, dataBytes: number) => void,
  encrypt: Ecb,
  encryptLast: Ecb,
): Buffer[] {
  const wordsOfBlock = blockBytes / WORD
  const longestFirst = messages.map((_, index) => index).sort((a, b) => lengthAt(messages, b) - lengthAt(messages, a))
  const wordsOf = longestFirst.map((index) => paddedLength(lengthAt(messages, index), blockBytes) / WORD)
  const words = new Int32Array(wordsOf.reduce((sum, count) => sum + count, 0))
  const endOf: number[] = []
  let end = 0
  for (const [place, index] of longestFirst.entries()) {
    const data = messages[index] ?? EMPTY
    const blocks = new Uint8Array(words.buffer, end * WORD, (wordsOf[place] ?? 0) * WORD)
    blocks.set(data)
    pad(blocks, data.length)
    end += wordsOf[place] ?? 0
    endOf.push(end)
  }
  const state = new Int32Array(messages.length * wordsOfBlock)
  const stateBytes = Buffer.from(state.buffer)
  let joined = 0
  for (let toGo = wordsOf[0] ?? 0; toGo > 0; toGo -= wordsOfBlock) {
    while (joined < messages.length && (wordsOf[joined] ?? 0) >= toGo) joined++
    for (let place = 0; place < joined; place++) {
      const from = (endOf[place] ?? 0) - toGo
      const to = place * wordsOfBlock
      for (let word = 0; word < wordsOfBlock; word++) state[to + word] = (state[to + word] ?? 0) ^ (words[from + word] ?? 0)
    }
    const column = stateBytes.subarray(0, joined * blockBytes)
    ;(toGo === wordsOfBlock ? encryptLast : encrypt)(column).copy(column)
  }
  const macs = new Array<Buffer>(messages.length)
  for (const [place, index] of longestFirst.entries()) {
    macs[index] = stateBytes.subarray(place * blockBytes, (place + 1) * blockBytes)
  }
  return macs
}

const WORD = 4
const EMPTY = new Uint8Array(0)

function lengthAt(messages: readonly Uint8Array[], index: number): number {
  return messages[index]?.length ?? 0
}

/** Of whole blocks, at least one. */
function paddedLength(bytes: number, blockBytes: number): number {
  return Math.max(1, Math.ceil(bytes / blockBytes)) * blockBytes
}

/** As far as `mask` goes. */
function xorInto(target: Uint8Array, mask: Uint8Array): void {
  for (let i = 0; i < mask.length; i++) target[i] = (target[i] ?? 0) ^ (mask[i] ?? 0)
}

/** SP 800-38B 6.1: doubling in GF(2^n), R = 0x1B for 64 bits and 0x87 for 128. */
function subkeysOf(zero: Buffer): readonly [Buffer, Buffer] {
  const first = doubled(zero)
  return [first, doubled(first)]
}

function doubled(block: Buffer): Buffer {
  const result = Buffer.alloc(block.length)
  for (let i = 0; i < block.length; i++) result[i] = (((block[i] ?? 0) << 1) | ((block[i + 1] ?? 0) >> 7)) & 0xff
  const last = block.length - 1
  if (((block[0] ?? 0) & 0x80) !== 0) result[last] = (result[last] ?? 0) ^ (block.length === AES_BLOCK ? 0x87 : 0x1b)
  return result
}
