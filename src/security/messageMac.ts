/**
 * The MAC of a message: DE 64, or DE 128 where the message has a secondary bitmap (ISO 8583-1:1987 section 4.4.10). It is the last field, and
 * covers every byte before its own value. A MAC of more than 8 bytes is cut to its first 8.
 */
import { assert } from '../assert.ts'
import { hasSecondary, type FieldValues } from '../iso8583/encode.ts'
import type { Message } from '../iso8583/message.ts'
import type { MessageSpec } from '../iso8583/messageSpec.ts'

const MAC_BYTES = 8
const PRIMARY = 64
const SECONDARY = 128

/** @returns what the MAC covers and the MAC as it came, views and copies of `frame`; undefined where none ends the message */
export function macOf(message: Message, frame: Buffer): { readonly data: Buffer; readonly given: Buffer } | undefined {
  const last = message.fields().at(-1)
  if (last !== PRIMARY && last !== SECONDARY) return undefined
  const given = message.bytes(last)
  if (given?.length !== MAC_BYTES) return undefined
  return { data: coveredBy(message.spec, frame), given }
}

/** Leaves room for a MAC in the fields of a message that is about to be encoded. */
export function makeRoomForMac(fields: FieldValues): void {
  fields[hasSecondary(fields) ? SECONDARY : PRIMARY] = ROOM
}

const ROOM = '00'.repeat(MAC_BYTES)

/** What the MAC of an encoded message with room for one covers. */
export function coveredBy(spec: MessageSpec, bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.length - wireBytes(spec))
}

/** Writes the MAC where room was made. */
export function writeMac(spec: MessageSpec, bytes: Buffer, mac: Uint8Array): void {
  assert(mac.length >= MAC_BYTES, 'a MAC has at least 8 bytes')
  const at = bytes.length - wireBytes(spec)
  if (wireBytes(spec) === MAC_BYTES) bytes.set(mac.subarray(0, MAC_BYTES), at)
  else bytes.write(Buffer.from(mac.subarray(0, MAC_BYTES)).toString('hex').toUpperCase(), at, 'latin1')
}

/** Both fields are written alike in each dialect: 8 bytes, or 16 hexadecimal characters. */
function wireBytes(spec: MessageSpec): number {
  return spec.fields[PRIMARY]?.coding === 'hex' ? 2 * MAC_BYTES : MAC_BYTES
}
