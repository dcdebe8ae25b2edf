/**
 * Key blocks: a key on its way between two parties, with what it may be used for, bound together under a key block protection key (KBPK).
 * ANSI X9.143 (TR-31), versions B and D (key derivation binding) and, where the KBPK's value is given, A and C (key variant binding).
 */
import { createCipheriv, createDecipheriv, randomBytes, timingSafeEqual } from 'node:crypto'
import { formatHeader, parseHeader, HEADER_CHARACTERS, KeyBlockError, type KeyBlockHeader } from './keyBlockHeader.ts'
import type { KeyHandle } from './keys.ts'
import { cmac } from './mac.ts'

/** A key block that was opened. */
export interface KeyBlock {
  readonly header: KeyBlockHeader
  /** The key itself. A function, so that it prints as one. */
  readonly reveal: () => Buffer
}

/**
 * Opens a block: its form first, then its MAC, and only then is anything of it believed.
 *
 * @param under K0 or K1: TDES for versions A, B and C, AES for D
 * @param clear the value of `under`, for versions A and C: their keys are its variants, which a handle cannot make
 * @throws KeyBlockError, which carries nothing of any key
 */
export function openKeyBlock(block: string, under: KeyHandle, clear?: Uint8Array): KeyBlock {
  const { header, payloadAt } = parseHeader(block)
  const binding = bindingOf(header.version, under, clear)
  const macCharacters = 2 * binding.macBytes
  const payload = bytesOf(block.slice(payloadAt, -macCharacters))
  const mac = bytesOf(block.slice(-macCharacters))
  if (block.length < payloadAt + macCharacters || payload.length === 0 || payload.length % binding.blockBytes !== 0) {
    throw new KeyBlockError('malformed', `a payload of whole blocks of ${String(binding.blockBytes)} bytes is missing`)
  }
  const head = Buffer.from(block.slice(0, payloadAt), 'latin1')
  const plain = binding.open(head, payload, mac)
  if (plain === undefined) throw new KeyBlockError('not-authentic', `the MAC is not of key ${under.info.name}`)
  const bits = plain.readUInt16BE(0)
  const key = Buffer.from(plain.subarray(LENGTH_BYTES, LENGTH_BYTES + bits / 8))
  plain.fill(0)
  if (bits === 0 || bits % 8 !== 0 || key.length !== bits / 8) throw new KeyBlockError('malformed', 'no whole key is in it')
  return { header, reveal: () => Buffer.from(key) }
}

export interface KeyBlockOptions {
  /** The value of `under`, for versions A and C. */
  readonly clear?: Uint8Array
  /** As many bytes as the key is made to look: hides how long it is (X9.143 7.2). */
  readonly paddedTo?: number
  /** For the padding. */
  readonly random?: (bytes: number) => Uint8Array
}

/**
 * Makes a block. Optional blocks come as they are; where they do not fill whole cipher blocks, one of padding (PB) follows.
 *
 * @throws KeyBlockError where `under` cannot protect this version; RangeError for header values that are none
 */
export function makeKeyBlock(
  header: KeyBlockHeader,
  key: Uint8Array,
  under: KeyHandle,
  { clear, paddedTo = key.length, random = randomBytes }: KeyBlockOptions = {},
): string {
  const { blockBytes, macBytes, seal } = bindingOf(header.version, under, clear)
  const content = LENGTH_BYTES + Math.max(paddedTo, key.length)
  const payloadBytes = Math.ceil(content / blockBytes) * blockBytes
  const plain = Buffer.from(random(payloadBytes))
  plain.writeUInt16BE(key.length * 8, 0)
  plain.set(key, LENGTH_BYTES)
  const head = formatHeader(header, blockBytes, 2 * (payloadBytes + macBytes))
  const { payload, mac } = seal(Buffer.from(head, 'latin1'), plain)
  plain.fill(0)
  return head + hexOf(payload) + hexOf(mac)
}

/** In front of the key in the payload: its length in bits. */
const LENGTH_BYTES = 2

/** How a version binds header and key together. */
interface Binding {
  readonly blockBytes: 8 | 16
  readonly macBytes: number
  /** @returns undefined where the MAC does not fit */
  readonly open: (head: Buffer, payload: Buffer, mac: Buffer) => Buffer | undefined
  readonly seal: (head: Buffer, plain: Buffer) => { readonly payload: Buffer; readonly mac: Buffer }
}

function bindingOf(version: KeyBlockHeader['version'], under: KeyHandle, clear: Uint8Array | undefined): Binding {
  const { name, usage, algorithm } = under.info
  if (usage !== 'K0' && usage !== 'K1') {
    throw new KeyBlockError('wrong-protection-key', `key ${name} is for ${usage}: it protects no key blocks`)
  }
  if (algorithm !== (version === 'D' ? 'A' : 'T')) {
    throw new KeyBlockError(
      'wrong-protection-key',
      `key ${name} of algorithm ${algorithm} protects no block of version ${version}`,
    )
  }
  if (version === 'B' || version === 'D') return derivationBinding(under)
  if (clear === undefined) {
    throw new KeyBlockError('unsupported', `version ${version} needs the value of key ${name}; versions B and D do not`)
  }
  return variantBinding(clear)
}

/**
 * Versions B and D (X9.143 7.3): keys for encryption and MAC are derived by CMAC. The MAC is over header and plain payload and is the
 * initialization vector too, so it can be checked only after deciphering; nothing looks at what came out before.
 */
function derivationBinding(under: KeyHandle): Binding {
  const blockBytes = under.info.algorithm === 'A' ? 16 : 8
  const encryption = derivedKey(under, blockBytes, 0)
  const authentication = derivedKey(under, blockBytes, 1)
  const macOf = (head: Buffer, plain: Buffer): Buffer => {
    const cipher = createCipheriv(cipherName(authentication, blockBytes, 'ecb'), authentication, null).setAutoPadding(false)
    return cmac((blocks) => cipher.update(blocks), blockBytes)(Buffer.concat([head, plain]))
  }
  const cbc = cipherName(encryption, blockBytes, 'cbc')
  return {
    blockBytes,
    macBytes: blockBytes,
    open: (head, payload, mac) => {
      const plain = createDecipheriv(cbc, encryption, mac).setAutoPadding(false).update(payload)
      return timingSafeEqual(macOf(head, plain), mac) ? plain : undefined
    },
    seal: (head, plain) => {
      const mac = macOf(head, plain)
      return { payload: createCipheriv(cbc, encryption, mac).setAutoPadding(false).update(plain), mac }
    },
  }
}

/** By length of the KBPK: number of its algorithm in the derivation data (X9.143 table 9). */
const DERIVED_ALGORITHMS: Readonly<Record<'T' | 'A', Readonly<Record<number, number>>>> = {
  T: { 16: 0, 24: 1 },
  A: { 16: 2, 24: 3, 32: 4 },
}

/** Counter, key usage (0 encryption, 1 MAC), separator 00, algorithm, length in bits: one CMAC for each block of the key. */
function derivedKey(under: KeyHandle, blockBytes: 8 | 16, usage: 0 | 1): Buffer {
  const { name, algorithm, bytes } = under.info
  const number = algorithm === 'H' ? undefined : DERIVED_ALGORITHMS[algorithm][bytes]
  if (number === undefined) throw new KeyBlockError('wrong-protection-key', `key ${name} has ${String(bytes)} bytes`)
  const mac = cmac((blocks) => under.encrypt(blocks), blockBytes)
  const parts: Buffer[] = []
  for (let counter = 1; (counter - 1) * blockBytes < bytes; counter++) {
    const bits = bytes * 8
    parts.push(mac(Uint8Array.of(counter, 0, usage, 0, 0, number, bits >> 8, bits & 0xff)))
  }
  return Buffer.concat(parts).subarray(0, bytes)
}

const ENCRYPTION_VARIANT = 0x45
const MAC_VARIANT = 0x4d
const VARIANT_MAC_BYTES = 4

/**
 * Versions A and C (X9.143 7.4): keys are variants of the KBPK, letters E and M over each byte. The MAC, half a block of CBC-MAC, is over
 * header and enciphered payload; the initialization vector is the first half of the header.
 */
function variantBinding(clear: Uint8Array): Binding {
  const encryption = Buffer.from(clear.map((byte) => byte ^ ENCRYPTION_VARIANT))
  const authentication = Buffer.from(clear.map((byte) => byte ^ MAC_VARIANT))
  const macOf = (head: Buffer, payload: Buffer): Buffer =>
    createCipheriv(cipherName(authentication, 8, 'cbc'), authentication, Buffer.alloc(8))
      .setAutoPadding(false)
      .update(Buffer.concat([head, payload]))
      .subarray(-8)
      .subarray(0, VARIANT_MAC_BYTES)
  const cbc = cipherName(encryption, 8, 'cbc')
  return {
    blockBytes: 8,
    macBytes: VARIANT_MAC_BYTES,
    open: (head, payload, mac) => {
      if (!timingSafeEqual(macOf(head, payload), mac)) return undefined
      return createDecipheriv(cbc, encryption, head.subarray(0, HEADER_CHARACTERS / 2))
        .setAutoPadding(false)
        .update(payload)
    },
    seal: (head, plain) => {
      const cipher = createCipheriv(cbc, encryption, head.subarray(0, HEADER_CHARACTERS / 2)).setAutoPadding(false)
      const payload = cipher.update(plain)
      return { payload, mac: macOf(head, payload) }
    },
  }
}

function cipherName(key: Uint8Array, blockBytes: 8 | 16, mode: 'ecb' | 'cbc'): string {
  if (blockBytes === 16) return `aes-${String(key.length * 8)}-${mode}`
  return (key.length === 16 ? 'des-ede' : 'des-ede3') + (mode === 'cbc' ? '-cbc' : '')
}

/** Upper case only, as the standard writes it: a block has one spelling. */
function bytesOf(text: string): Buffer {
  if (text.length % 2 !== 0 || !/^[0-9A-F]*$/.test(text))
    throw new KeyBlockError('malformed', 'payload and MAC are hexadecimal digits')
  return Buffer.from(text, 'hex')
}

function hexOf(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase()
}
