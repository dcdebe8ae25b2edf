/**
 * Reads of an answer what the generator needs. Answers of one header (MTI and bitmaps) and one length have their fields in the same
 * places, as all fields of variable length hold what we sent; so only the first of each is decoded in full.
 */
import { decode } from '../../src/iso8583/decode.ts'
import { DecodedMessage } from '../../src/iso8583/message.ts'
import type { MessageSpec } from '../../src/iso8583/messageSpec.ts'
import { readDigits, type DigitsPlace } from './digits.ts'

export interface Answer {
  readonly mti: string
  readonly terminalId: string
  /** DE 7 as a number: MMDDhhmmss. */
  readonly transmission: number
  readonly stan: number
  readonly responseCode: string
}

interface Layout {
  readonly mti: string
  readonly transmission: DigitsPlace
  readonly stan: DigitsPlace
  readonly responseCodeAt: number
  readonly terminalAt: number
}

export class AnswerReader {
  readonly #spec: MessageSpec
  readonly #bitmapAt: number
  readonly #bitmapBytes: number
  readonly #layouts = new Map<string, Layout | undefined>()

  constructor(spec: MessageSpec) {
    this.#spec = spec
    this.#bitmapAt = spec.mti === 'bcd' ? 2 : 4
    this.#bitmapBytes = spec.bitmap === 'hex' ? 16 : 8
  }

  /** @returns undefined for what is no answer to a transaction */
  read(payload: Buffer): Answer | undefined {
    const name = payload.toString('latin1', 0, this.#headerBytes(payload)) + String(payload.length)
    let layout = this.#layouts.get(name)
    if (layout === undefined) {
      layout = learn(this.#spec, payload)
      if (layout === undefined) return undefined
      this.#layouts.set(name, layout)
    }
    const { terminalAt, responseCodeAt } = layout
    return {
      mti: layout.mti,
      terminalId: payload.toString('latin1', terminalAt, terminalAt + 8),
      transmission: readDigits(payload, layout.transmission),
      stan: readDigits(payload, layout.stan),
      responseCode: payload.toString('latin1', responseCodeAt, responseCodeAt + 2),
    }
  }

  /** Bit 1 announces a second bitmap (ISO 8583-1:1987 4.2). */
  #headerBytes(payload: Buffer): number {
    const first = payload[this.#bitmapAt] ?? 0
    const hasSecond = this.#spec.bitmap === 'hex' ? first >= 0x38 : first >= 0x80
    return this.#bitmapAt + this.#bitmapBytes * (hasSecond ? 2 : 1)
  }
}

function learn(spec: MessageSpec, payload: Buffer): Layout | undefined {
  const decoded = decode(spec, Buffer.from(payload))
  if (!decoded.ok || !(decoded.message instanceof DecodedMessage)) return undefined
  const { message } = decoded
  const digits = (de: number, count: number): DigitsPlace | undefined => {
    const place = message.place(de)
    return place === undefined ? undefined : { at: place.contentOffset, count, bcd: spec.fields[de]?.coding === 'bcd' }
  }
  const transmission = digits(7, 10)
  const stan = digits(11, 6)
  const responseCode = message.place(39)
  const terminal = message.place(41)
  if (transmission === undefined || stan === undefined || responseCode === undefined || terminal === undefined) return undefined
  return {
    mti: message.mti,
    transmission,
    stan,
    responseCodeAt: responseCode.contentOffset,
    terminalAt: terminal.contentOffset,
  }
}
