/** Message authentication codes over whole messages: the retail MAC and CMAC. */
import { createCipheriv } from 'node:crypto'

const DES_BLOCK = 8

/**
 * Retail MAC: ISO 9797-1 algorithm 3 with DES, padding method 1 (zeros to a whole block, none where it is one already).
 *
 * @param key 16 bytes: K1 chains the blocks, the last one passes K1, K2 and K1
 * @returns a function from data to 8 bytes
 */
export function retailMac(key: Uint8Array): (data: Uint8Array) => Buffer {
  const k1 = key.subarray(0, DES_BLOCK)
  // Single DES is triple DES with one key three times.
  const single = createCipheriv('des-ede', Buffer.concat([k1, k1]), null).setAutoPadding(false)
  const last = createCipheriv('des-ede', key.subarray(0, 2 * DES_BLOCK), null).setAutoPadding(false)
  return (data) => {
    let chained: Buffer = Buffer.alloc(DES_BLOCK)
    const blocks = Math.max(1, Math.ceil(data.length / DES_BLOCK))
    for (let block = 0; block < blocks; block++) {
      for (let i = 0; i < DES_BLOCK; i++) chained[i] = (chained[i] ?? 0) ^ (data[block * DES_BLOCK + i] ?? 0)
      chained = (block === blocks - 1 ? last : single).update(chained)
    }
    return chained
  }
}

/**
 * CMAC: NIST SP 800-38B.
 *
 * @param encrypt ECB under the key
 * @param blockBytes 8 with TDES, 16 with AES
 * @returns a function from data to a block
 */
export function cmac(encrypt: (blocks: Uint8Array) => Buffer, blockBytes: 8 | 16): (data: Uint8Array) => Buffer {
  let subkeys: readonly [Buffer, Buffer] | undefined
  return (data) => {
    subkeys ??= subkeysOf(encrypt(Buffer.alloc(blockBytes)))
    const blocks = Math.max(1, Math.ceil(data.length / blockBytes))
    const whole = data.length === blocks * blockBytes
    const subkey = subkeys[whole ? 0 : 1]
    let chained: Buffer = Buffer.alloc(blockBytes)
    for (let block = 0; block < blocks; block++) {
      const start = block * blockBytes
      const isLast = block === blocks - 1
      for (let i = 0; i < blockBytes; i++) {
        const byte = start + i < data.length ? (data[start + i] ?? 0) : start + i === data.length ? 0x80 : 0
        chained[i] = (chained[i] ?? 0) ^ byte ^ (isLast ? (subkey[i] ?? 0) : 0)
      }
      chained = encrypt(chained)
    }
    return chained
  }
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

const AES_BLOCK = 16
