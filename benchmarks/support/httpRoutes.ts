/** The two routes of the HTTP benchmark: how a purchase is written for each, and how its answer is read. */
import { idempotencyKey } from '../../src/transaction/identity.ts'
import { decode } from '../../src/iso8583/decode.ts'
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { EGP, formatAmount } from '../../src/money.ts'
import { demoPan } from '../../src/programme/demo.ts'

/** A purchase that the generator made up. */
export interface Purchase {
  /** Counts the purchases of a run. */
  readonly number: number
  readonly household: number
  readonly terminalId: string
  /** Piasters. */
  readonly amount: number
  readonly madeMs: number
}

export interface OutgoingRequest {
  /** The ledger's key. */
  readonly key: string
  readonly body: string | Buffer
  readonly headers: Readonly<Record<string, string>>
}

export interface Answer {
  readonly key: string
  readonly responseCode: string
}

export interface HttpRoute {
  /** As reports name it. */
  readonly name: string
  readonly path: string
  request(purchase: Purchase): OutgoingRequest
  /** @returns undefined for what is no decision */
  answer(body: string): Answer | undefined
}

/** The dialect whose messages are all text: the generator hands bodies on as such. */
const spec = messageSpec('hex')
const FINANCIAL = '2'
/** What the switch puts in the place of DE 32 where a message has none. */
const ACQUIRER = 'http'

export const isoRoute: HttpRoute = {
  name: 'POST /iso8583',
  path: '/iso8583?spec=hex',
  request({ number, household, terminalId, amount, madeMs }) {
    const time = new Date(madeMs).toISOString().replace(/\D/g, '').slice(4, 14)
    const stan = String(number % 1_000_000).padStart(6, '0')
    const fields: FieldValues = []
    fields[2] = demoPan(household)
    fields[3] = '000000'
    fields[4] = String(amount)
    fields[7] = time
    fields[11] = stan
    fields[41] = terminalId
    fields[49] = EGP
    const encoded = encode(spec, '0200', fields)
    if (!encoded.ok) throw new Error(`${encoded.error.path}: expected ${encoded.error.expected}`)
    const key = idempotencyKey({ acquirer: ACQUIRER, terminalId, time, stan, messageClass: FINANCIAL })
    return { key, body: encoded.bytes, headers: { 'content-type': 'application/octet-stream' } }
  },
  answer(body) {
    const decoded = decode(spec, Buffer.from(body, 'latin1'))
    if (!decoded.ok) return undefined
    const { message } = decoded
    const [terminalId, time, stan] = [message.text(41), message.text(7), message.text(11)]
    const responseCode = message.text(39)
    if (terminalId === undefined || time === undefined || stan === undefined || responseCode === undefined) return undefined
    return { key: idempotencyKey({ acquirer: ACQUIRER, terminalId, time, stan, messageClass: FINANCIAL }), responseCode }
  },
}

/** @param runName makes the keys of this run its own */
export function jsonRoute(runName: string): HttpRoute {
  return {
    name: 'POST /v1/authorizations',
    path: '/v1/authorizations',
    request({ number, household, terminalId, amount, madeMs }) {
      const date = new Date(madeMs).toISOString().slice(0, 10).replaceAll('-', '')
      // The answer does not name the terminal, so the key does.
      const key = `${date}-${runName}.${terminalId}.${String(number)}`
      return {
        key: `http|${terminalId}|${key}|${FINANCIAL}`,
        body: JSON.stringify({
          kind: 'purchase',
          card: { number: demoPan(household) },
          terminalId,
          amount: formatAmount(amount),
        }),
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
      }
    },
    answer(body) {
      const { idempotencyKey: key, responseCode } = JSON.parse(body) as { idempotencyKey?: string; responseCode?: string }
      const terminalId = key?.split('.')[1]
      if (key === undefined || terminalId === undefined || responseCode === undefined) return undefined
      return { key: `http|${terminalId}|${key}|${FINANCIAL}`, responseCode }
    },
  }
}
