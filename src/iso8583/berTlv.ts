/**
 * Strict BER-TLV as DE 55 carries it (EMV Book 3 annex B; ISO/IEC 8825-1). What a lenient reader would guess is refused:
 * truncated objects, indefinite lengths, lengths in more bytes than they need, padding between objects, nesting beyond
 * `DEPTH_MAX`, and a second occurrence of a tag that the decision rests on, at whatever depth.
 */
import { fault, type Fault, type Parsed } from './fault.ts'

export interface Tlv {
  /** Upper-case hexadecimal: `9F02`. */
  readonly tag: string
  /** The value's bytes, a view. */
  readonly value: Buffer
  /** The objects inside a constructed one; undefined for a primitive one. */
  readonly children: readonly Tlv[] | undefined
  /** Of the tag's first byte. */
  readonly offset: number
}

/** What formatTlv takes: a primitive object with its bytes, or a constructed one with its parts. */
export type TlvInput =
  { readonly tag: string; readonly value: Uint8Array } | { readonly tag: string; readonly children: readonly TlvInput[] }

/** Objects in the order they came. */
export function parseTlv(bytes: Buffer): Parsed<Tlv[]> {
  const error = tlvFault(bytes)
  return error === undefined ? { ok: true, value: build(bytes, 0, bytes.length) } : { ok: false, error }
}

/** What is wrong with `bytes` as a list of objects; undefined where nothing is. Makes no objects. */
export function tlvFault(bytes: Uint8Array): Fault | undefined {
  return check(bytes, 0, bytes.length, 1, { critical: 0, visit: undefined })
}

/** A primitive object: its tag as a number (9F02 is 0x9f02; 0 for one of three bytes or more) and where its value is. */
export type TlvVisit = (tag: number, valueAt: number, length: number) => void

/** Like `tlvFault`, and shows every primitive object on the way, in order and in depth. What was shown before a fault counts for nothing. */
export function visitTlv(bytes: Uint8Array, visit: TlvVisit): Fault | undefined {
  return check(bytes, 0, bytes.length, 1, { critical: 0, visit })
}

/** The first object of this tag, searched in order and in depth. */
export function findTlv(objects: readonly Tlv[], tag: string): Tlv | undefined {
  for (const object of objects) {
    if (object.tag === tag) return object
    const inside = object.children === undefined ? undefined : findTlv(object.children, tag)
    if (inside !== undefined) return inside
  }
  return undefined
}

/** @throws RangeError where a tag is none or a value is too long: a mistake of the caller */
export function formatTlv(objects: readonly TlvInput[]): Buffer {
  const bytes = Buffer.allocUnsafe(sizeOf(objects))
  write(objects, bytes, 0)
  return bytes
}

function sizeOf(objects: readonly TlvInput[]): number {
  let size = 0
  for (const object of objects) {
    const length = valueLength(object)
    size += (object.tag.length >> 1) + formatLength(length).length + length
  }
  return size
}

function valueLength(object: TlvInput): number {
  return 'children' in object ? sizeOf(object.children) : object.value.length
}

/** @returns the offset behind the objects */
function write(objects: readonly TlvInput[], into: Buffer, start: number): number {
  let at = start
  for (const object of objects) {
    const tagBytes = into.write(object.tag, at, 'hex')
    if (tagBytes === 0 || tagBytes * 2 !== object.tag.length || tagLength(into, at, at + tagBytes) !== tagBytes) {
      throw new RangeError(`not a BER tag: ${object.tag}`)
    }
    if (isConstructed(into, at) !== 'children' in object) throw new RangeError(`tag ${object.tag} is of the other kind`)
    at += tagBytes
    const length = formatLength(valueLength(object))
    into.set(length, at)
    at += length.length
    if ('children' in object) at = write(object.children, into, at)
    else {
      into.set(object.value, at)
      at += object.value.length
    }
  }
  return at
}

const DEPTH_MAX = 4
const TAG_BYTES_MAX = 4

/** Tags that a decision or a cryptogram rests on (EMV Book 2 annex A1, Book 3 annex A): two of one would be two truths. */
const CRITICAL_TAGS = [
  0x57, 0x5a, 0x82, 0x84, 0x8a, 0x91, 0x95, 0x9a, 0x9c, 0x5f24, 0x5f2a, 0x5f34, 0x9f02, 0x9f03, 0x9f06, 0x9f09, 0x9f10, 0x9f1a,
  0x9f1e, 0x9f21, 0x9f26, 0x9f27, 0x9f33, 0x9f34, 0x9f35, 0x9f36, 0x9f37, 0x9f41,
]
/** A bit for each of them. */
const CRITICAL_BITS: ReadonlyMap<number, number> = new Map(CRITICAL_TAGS.map((tag, index) => [tag, 1 << index]))

interface Walk {
  /** Bits of the critical tags that were there. */
  critical: number
  readonly visit: TlvVisit | undefined
}

function check(bytes: Uint8Array, start: number, end: number, depth: number, seen: Walk): Fault | undefined {
  let at = start
  while (at < end) {
    const tagBytes = tagLength(bytes, at, end)
    if (tagBytes <= 0) return badTag(bytes, at, end)
    const lengthAt = at + tagBytes
    const lengthBytes = lengthLength(bytes, lengthAt, end)
    if (lengthBytes <= 0) return badLength(bytes, at, lengthAt, end)
    const valueAt = lengthAt + lengthBytes
    const length = readLength(bytes, lengthAt, lengthBytes)
    if (length > end - valueAt) {
      return fault(
        'truncated',
        tagName(bytes, at, lengthAt),
        valueAt,
        `${String(length)} bytes`,
        `${String(end - valueAt)} bytes`,
      )
    }
    const tag = tagNumber(bytes, at, tagBytes)
    const bit = CRITICAL_BITS.get(tag) ?? 0
    if ((seen.critical & bit) !== 0)
      return fault(
        'duplicate-tag',
        tagName(bytes, at, lengthAt),
        at,
        `${tagName(bytes, at, lengthAt)} once`,
        `${tagName(bytes, at, lengthAt)} again`,
      )
    seen.critical |= bit
    if (isConstructed(bytes, at)) {
      if (depth === DEPTH_MAX)
        return fault('too-deep', tagName(bytes, at, lengthAt), at, `no template on level ${String(DEPTH_MAX)}`, 'one')
      const inside = check(bytes, valueAt, valueAt + length, depth + 1, seen)
      if (inside !== undefined)
        return {
          ...inside,
          path: inside.path === '' ? tagName(bytes, at, lengthAt) : `${tagName(bytes, at, lengthAt)}.${inside.path}`,
        }
    } else {
      seen.visit?.(tag, valueAt, length)
    }
    at = valueAt + length
  }
  return undefined
}

function build(bytes: Buffer, start: number, end: number): Tlv[] {
  const objects: Tlv[] = []
  let at = start
  while (at < end) {
    const lengthAt = at + tagLength(bytes, at, end)
    const lengthBytes = lengthLength(bytes, lengthAt, end)
    const valueAt = lengthAt + lengthBytes
    const next = valueAt + readLength(bytes, lengthAt, lengthBytes)
    objects.push({
      tag: tagName(bytes, at, lengthAt),
      value: bytes.subarray(valueAt, next),
      children: isConstructed(bytes, at) ? build(bytes, valueAt, next) : undefined,
      offset: at,
    })
    at = next
  }
  return objects
}

/** Bytes of the tag at `at`; 0 where it is none, -1 where it goes on beyond `end`. */
function tagLength(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at] ?? 0
  // 00 is padding in card files (EMV Book 3 annex B); in a message it has no place.
  if (first === 0) return 0
  if ((first & 0x1f) !== 0x1f) return 1
  // The number's leading byte may not be empty: that would be a longer form of another tag.
  if (at + 1 < end && ((bytes[at + 1] ?? 0) & 0x7f) === 0) return 0
  for (let length = 2; length <= TAG_BYTES_MAX; length++) {
    if (at + length > end) return -1
    if (((bytes[at + length - 1] ?? 0) & 0x80) === 0) return length
  }
  return 0
}

/** Bytes of the length at `at`; -1 where it goes on beyond `end`, 0 where its form is refused. */
function lengthLength(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1
  const first = bytes[at] ?? 0
  if (first < 0x80) return 1
  if (first === 0x81) return at + 2 > end ? -1 : (bytes[at + 1] ?? 0) >= 0x80 ? 2 : 0
  if (first === 0x82) return at + 3 > end ? -1 : (bytes[at + 1] ?? 0) > 0 ? 3 : 0
  return 0
}

function readLength(bytes: Uint8Array, at: number, lengthBytes: number): number {
  if (lengthBytes === 1) return bytes[at] ?? 0
  return lengthBytes === 2 ? (bytes[at + 1] ?? 0) : ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
}

function tagNumber(bytes: Uint8Array, at: number, tagBytes: number): number {
  if (tagBytes === 1) return bytes[at] ?? 0
  return tagBytes === 2 ? ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0) : 0
}

function isConstructed(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at] ?? 0) & 0x20) !== 0
}

function tagName(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('hex').toUpperCase()
}

function badTag(bytes: Uint8Array, at: number, end: number): Fault {
  if (tagLength(bytes, at, end) < 0) return fault('truncated', '', at, 'a whole tag', `${String(end - at)} bytes`)
  return fault(
    'bad-structure',
    '',
    at,
    `a BER tag of at most ${String(TAG_BYTES_MAX)} bytes`,
    `byte ${tagName(bytes, at, at + 1)}`,
  )
}

function badLength(bytes: Uint8Array, tagAt: number, at: number, end: number): Fault {
  const path = tagName(bytes, tagAt, at)
  if (lengthLength(bytes, at, end) < 0) return fault('truncated', path, at, 'a whole length', `${String(end - at)} bytes`)
  const first = bytes[at] ?? 0
  if (first === 0x80) return fault('indefinite-length', path, at, 'a definite length', 'byte 80')
  return fault('over-long-length', path, at, 'the shortest form of a length below 65536', `byte ${tagName(bytes, at, at + 1)}`)
}

function formatLength(length: number): readonly number[] {
  if (length < 0x80) return [length]
  if (length < 0x100) return [0x81, length]
  if (length < 0x10000) return [0x82, length >> 8, length & 0xff]
  throw new RangeError(`a TLV value of ${String(length)} bytes`)
}
