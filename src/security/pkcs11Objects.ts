/**
 * How keys lie on a token. The token's own attributes say what they can, so that nothing is said twice:
 *
 * | attribute | value |
 * |---|---|
 * | CKA_LABEL | the key's name; `:first-half` or `:variant` behind it for the second object that some keys have |
 * | CKA_ID | `sarf/M3/1`: usage, and version, which the next `put` under the same name raises |
 * | CKA_KEY_TYPE | CKK_DES2 (T, 16 bytes), CKK_DES3 (T, 24), CKK_AES (A, by CKA_VALUE_LEN), CKK_GENERIC_SECRET (H) |
 * | CKA_EXTRACTABLE | whether the key is exportable |
 * | CKA_SENSITIVE | the opposite: an exportable key is read as it is, to wrap it in a key block |
 * | CKA_TOKEN, CKA_PRIVATE | true |
 * | CKA_MODIFIABLE | false: a key's usage is for good |
 * | CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN | as the algorithm needs; CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE are false |
 *
 * The second object is of CKK_DES2 too, and enciphers and no more. For an M3 or C0 key K1 K2 it is K1 K1, because tokens have no single DES;
 * for a B0 key of double length it is the key XOR C0C0C0C0 00000000 C0C0C0C0 00000000 (X9.24-1:2009 A.6), because they have no variants.
 * Objects that are not like this belong to others and are left alone.
 */
import type { Attribute, Handle } from 'pkcs11js'
import { KeyRefused, type KeyAlgorithm, type KeyInfo, type KeyUsage, type NewKey } from './keys.ts'
import type { OpenToken } from './pkcs11Session.ts'

export interface KeyObject {
  readonly handle: Handle
  readonly name: string
  readonly usage: KeyUsage
  readonly version: number
  readonly part: KeyPart
  readonly algorithm: KeyAlgorithm
  readonly bytes: number
  readonly exportable: boolean
}

export type KeyPart = 'whole' | SecondPart
/** What is made of a key when it is put, as an object of its own. */
export type SecondPart = 'first half' | 'variant'

const SUFFIXES: Readonly<Record<SecondPart, string>> = { 'first half': ':first-half', variant: ':variant' }
const HALF_BYTES = 8
const DOUBLE_LENGTH = 2 * HALF_BYTES
const VARIANT_MASK = Buffer.from('C0C0C0C000000000C0C0C0C000000000', 'hex')
const FOUND_AT_ONCE = 64
const KEY_NAME = /^[a-z0-9.-]+$/

const USAGES: Readonly<Record<KeyUsage, true>> = {
  B0: true,
  C0: true,
  D0: true,
  E0: true,
  E1: true,
  E2: true,
  K0: true,
  K1: true,
  M3: true,
  M6: true,
  M7: true,
  P0: true,
  V1: true,
  V2: true,
}

/** M3 and C0 need single DES, B0 of double length the variant. */
export function secondPart({ usage, algorithm, bytes }: Pick<KeyInfo, 'usage' | 'algorithm' | 'bytes'>): SecondPart | undefined {
  if (usage === 'M3' || usage === 'C0') return 'first half'
  return usage === 'B0' && algorithm === 'T' && bytes === DOUBLE_LENGTH ? 'variant' : undefined
}

/** The objects of one key, or of all, in any order. More than one version of a key is there while it is replaced, or when that was cut short. */
export function keyObjects(token: OpenToken, name?: string): readonly KeyObject[] {
  const labels = name === undefined ? [undefined] : [name, ...Object.values(SUFFIXES).map((suffix) => name + suffix)]
  const found = labels.flatMap((label) => search(token, label)).map((handle) => readObject(token, handle))
  return found.filter((object) => object !== undefined)
}

/** @throws KeyRefused where the key has a name or a length that there is not */
export function checkNewKey(key: NewKey): void {
  const { name, usage, algorithm, value } = key
  if (!KEY_NAME.test(name)) throw new KeyRefused(`a key's name is lower-case letters, digits, dots and hyphens, not ${name}`)
  const lengths: Readonly<Record<KeyAlgorithm, readonly number[]>> = { T: [16, 24], A: [16, 24, 32], H: [32] }
  const allowed = lengths[algorithm]
  if (!allowed.includes(value.length)) {
    throw new KeyRefused(`key ${name} has ${String(value.length)} bytes; ${algorithm} has ${allowed.join(', ')}`)
  }
  if ((usage === 'M3' || usage === 'C0') && (algorithm !== 'T' || value.length !== DOUBLE_LENGTH)) {
    throw new KeyRefused(`key ${name} is for ${usage}, which takes triple DES of 16 bytes`)
  }
}

export function createObject(token: OpenToken, key: NewKey, version: number, part: KeyPart): void {
  const { names, library, handle } = token
  const value = valueOf(key.value, part)
  const ciphers = key.algorithm !== 'H'
  const exportable = key.exportable && part === 'whole'
  const template: Attribute[] = [
    { type: names.CKA_CLASS, value: names.CKO_SECRET_KEY },
    { type: names.CKA_KEY_TYPE, value: keyType(token, key.algorithm, value.length) },
    { type: names.CKA_VALUE, value },
    { type: names.CKA_LABEL, value: part === 'whole' ? key.name : key.name + SUFFIXES[part] },
    { type: names.CKA_ID, value: Buffer.from(`sarf/${key.usage}/${String(version)}`, 'latin1') },
    { type: names.CKA_TOKEN, value: true },
    { type: names.CKA_PRIVATE, value: true },
    { type: names.CKA_MODIFIABLE, value: false },
    { type: names.CKA_EXTRACTABLE, value: exportable },
    { type: names.CKA_SENSITIVE, value: !exportable },
    { type: names.CKA_ENCRYPT, value: ciphers },
    { type: names.CKA_DECRYPT, value: ciphers && part === 'whole' },
    { type: names.CKA_SIGN, value: part === 'whole' },
    { type: names.CKA_VERIFY, value: false },
    { type: names.CKA_WRAP, value: false },
    { type: names.CKA_UNWRAP, value: false },
    { type: names.CKA_DERIVE, value: false },
  ]
  try {
    library.C_CreateObject(handle, template)
  } finally {
    value.fill(0)
  }
}

/** @param key whole */
function valueOf(key: Uint8Array, part: KeyPart): Buffer {
  const half = key.subarray(0, HALF_BYTES)
  switch (part) {
    case 'whole':
      return Buffer.from(key)
    case 'first half':
      return Buffer.concat([half, half])
    case 'variant':
      return Buffer.from(key.map((byte, at) => byte ^ (VARIANT_MASK[at] ?? 0)))
  }
}

/** Of an exportable key. */
export function readValue({ library, handle, names }: OpenToken, object: Handle): Buffer {
  return attribute(library.C_GetAttributeValue(handle, object, [{ type: names.CKA_VALUE }]), 0)
}

function search({ library, handle, names }: OpenToken, label: string | undefined): readonly Handle[] {
  const template: Attribute[] = [
    { type: names.CKA_CLASS, value: names.CKO_SECRET_KEY },
    { type: names.CKA_TOKEN, value: true },
    ...(label === undefined ? [] : [{ type: names.CKA_LABEL, value: label }]),
  ]
  library.C_FindObjectsInit(handle, template)
  const found: Handle[] = []
  for (;;) {
    const some = library.C_FindObjects(handle, FOUND_AT_ONCE)
    found.push(...some)
    if (some.length < FOUND_AT_ONCE) break
  }
  library.C_FindObjectsFinal(handle)
  return found
}

/** @returns undefined where the object is not one of ours */
function readObject(token: OpenToken, object: Handle): KeyObject | undefined {
  const { library, handle, names } = token
  const attributes = library.C_GetAttributeValue(handle, object, [
    { type: names.CKA_LABEL },
    { type: names.CKA_ID },
    { type: names.CKA_KEY_TYPE },
    { type: names.CKA_EXTRACTABLE },
  ])
  const label = attribute(attributes, 0).toString('utf8')
  const [, usage, version] = /^sarf\/(\w\d)\/(\d{1,9})$/.exec(attribute(attributes, 1).toString('latin1')) ?? []
  const { name, part } = partOf(label)
  if (usage === undefined || !isKeyUsage(usage) || !KEY_NAME.test(name)) return undefined
  const shape = shapeOf(token, object, numberOf(attribute(attributes, 2)))
  if (shape === undefined) return undefined
  return { handle: object, name, usage, version: Number(version), part, ...shape, exportable: attribute(attributes, 3)[0] === 1 }
}

function partOf(label: string): { readonly name: string; readonly part: KeyPart } {
  for (const part of ['first half', 'variant'] as const) {
    if (label.endsWith(SUFFIXES[part])) return { name: label.slice(0, -SUFFIXES[part].length), part }
  }
  return { name: label, part: 'whole' }
}

function isKeyUsage(text: string): text is KeyUsage {
  return Object.hasOwn(USAGES, text)
}

function keyType({ names }: OpenToken, algorithm: KeyAlgorithm, bytes: number): number {
  switch (algorithm) {
    case 'T':
      return bytes === 16 ? names.CKK_DES2 : names.CKK_DES3
    case 'A':
      return names.CKK_AES
    case 'H':
      return names.CKK_GENERIC_SECRET
  }
}

function shapeOf(
  { library, handle, names }: OpenToken,
  object: Handle,
  type: number,
): { readonly algorithm: KeyAlgorithm; readonly bytes: number } | undefined {
  if (type === names.CKK_DES2) return { algorithm: 'T', bytes: 16 }
  if (type === names.CKK_DES3) return { algorithm: 'T', bytes: 24 }
  if (type !== names.CKK_AES && type !== names.CKK_GENERIC_SECRET) return undefined
  const bytes = numberOf(attribute(library.C_GetAttributeValue(handle, object, [{ type: names.CKA_VALUE_LEN }]), 0))
  return { algorithm: type === names.CKK_AES ? 'A' : 'H', bytes }
}

function attribute(found: readonly { readonly value: Buffer }[], index: number): Buffer {
  return found[index]?.value ?? Buffer.alloc(0)
}

/** A CK_ULONG: 4 or 8 bytes, little-endian on every machine that Node.js 24 has binaries for but IBM's. */
function numberOf(value: Buffer): number {
  return value.length < 4 ? NaN : value.readUInt32LE(0)
}
