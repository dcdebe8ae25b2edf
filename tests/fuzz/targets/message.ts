/** Bytes to message and back, in each dialect (src/iso8583/decode.ts, encode.ts). */
import { decode, type DecodeError } from '../../../src/iso8583/decode.ts'
import { encode, type FieldValues } from '../../../src/iso8583/encode.ts'
import { DecodedMessage, type Message } from '../../../src/iso8583/message.ts'
import { messageSpec, type SpecName } from '../../../src/iso8583/messageSpec.ts'
import { check, checkNoCardNumber, same, type Target } from '../target.ts'
import { MESSAGE_TOKENS, messageSeeds } from './messageSeeds.ts'

export function message(name: SpecName): Target {
  const spec = messageSpec(name)
  return {
    seeds: messageSeeds(name),
    dictionary: MESSAGE_TOKENS,
    bytesMax: 700,
    run(input) {
      const decoded = decode(spec, input)
      if (!decoded.ok) {
        checkError(decoded.error, input)
        return 'rejected'
      }
      const { message } = decoded
      const written = rewritten(message)
      const again = decode(spec, written)
      check(again.ok, 'what is written is read', again.ok ? undefined : { ...again.error, partial: undefined })
      same(again.message.mti, message.mti, 'the MTI survives')
      same(texts(again.message), texts(message), 'the fields survive')
      check(rewritten(again.message).equals(written), 'what is written is written so again')
      check(
        normal(message, written).equals(normal(message, input)),
        'what is read is written back as it was',
        written.toString('hex'),
      )
      return 'accepted'
    },
  }
}

function checkError(error: DecodeError, input: Buffer): void {
  const { path, offset, expected, found, partial } = error
  check(/^(MTI|bitmap|message|DE \d+(\.[0-9A-Za-z]{1,8})*)$/.test(path), 'a path names a part of the message', path)
  check(Number.isInteger(offset) && offset >= 0 && offset <= input.length, 'an offset is inside', { path, offset })
  // A tag of DE 55 or an MTI in hexadecimal may be eight digits.
  checkNoCardNumber(`${path} ${expected} ${found}`, 'an error')
  if (partial !== undefined) texts(partial)
}

function rewritten(message: Message): Buffer {
  const values: FieldValues = []
  for (const de of message.fields()) values[de] = message.text(de)
  const encoded = encode(message.spec, message.mti, values)
  check(encoded.ok, 'what was read can be written', encoded)
  return encoded.bytes
}

function texts(message: Message): [de: number, text: string | undefined][] {
  return message.fields().map((de) => {
    message.bytes(de)
    return [de, message.text(de)]
  })
}

/**
 * Without the freedom that the dialect leaves: hexadecimal in either case, the last nibble of an odd number of digits, a bit 1 that
 * announces a bitmap without a bit in it.
 */
function normal(message: Message, bytes: Buffer): Buffer {
  const { spec } = message
  const copy = Buffer.from(spec.bitmap === 'hex' || spec.fields.some((field) => field?.coding === 'hex') ? upper(bytes) : bytes)
  const mtiBytes = spec.mti === 'bcd' ? 2 : 4
  const [bitmapBytes, bit1, empty] = spec.bitmap === 'hex' ? [16, 0x38, 0x30] : [8, 0x80, 0x00]
  const first = copy[mtiBytes]!
  const second = copy.subarray(mtiBytes + bitmapBytes, mtiBytes + 2 * bitmapBytes)
  if (
    spec.bitmapForm === 'expanding' &&
    message.fields().every((de) => de < 65) &&
    isBit1Set(first) &&
    second.every((byte) => byte === empty)
  ) {
    const cleared =
      spec.bitmap === 'hex'
        ? upper(Buffer.from((Number.parseInt(String.fromCharCode(first), 16) & 7).toString(16)))
        : Buffer.of(first & ~bit1)
    return Buffer.concat([
      copy.subarray(0, mtiBytes),
      cleared,
      copy.subarray(mtiBytes + 1, mtiBytes + bitmapBytes),
      withoutPads(message, copy).subarray(mtiBytes + 2 * bitmapBytes),
    ])
  }
  return message instanceof DecodedMessage ? withoutPads(message, copy) : copy

  function isBit1Set(byte: number): boolean {
    return spec.bitmap === 'hex' ? Number.parseInt(String.fromCharCode(byte), 16) >= 8 : byte >= 0x80
  }
}

/** Only where the bytes lie as `message` does: an empty second bitmap shifts what follows, and pads with it. */
function withoutPads(message: Message, bytes: Buffer): Buffer {
  if (!(message instanceof DecodedMessage)) return bytes
  // Fields end at the same distance from the end of the message, whatever bitmaps are in front.
  const last = message.fields().at(-1)
  const length = last === undefined ? bytes.length : (message.place(last)?.end ?? bytes.length)
  for (const de of message.fields()) {
    const field = message.spec.fields[de]!
    const place = message.place(de)
    if (field.coding !== 'bcd' || field.type === 'x+n' || field.oddDigits === 'left' || place === undefined) continue
    const at = place.end - 1 + bytes.length - length
    if ((message.text(de)?.length ?? 0) % 2 === 1) bytes[at]! &= 0xf0
  }
  return bytes
}

function upper(bytes: Buffer): Buffer {
  return Buffer.from(
    bytes.toString('latin1').replaceAll(/[a-f]/g, (letter) => letter.toUpperCase()),
    'latin1',
  )
}
