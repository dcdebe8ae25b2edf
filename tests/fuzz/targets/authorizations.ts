/**
 * `POST /v1/authorizations` (src/admin): fastify's parser, the schema of the request and what is made of it, injected into a server that does
 * not listen. The input is the Idempotency-Key, a line feed and the body. The authorizer approves whatever comes.
 */
import { handleErrors } from '../../../src/admin/errorHandling.ts'
import { authorizationRoute } from '../../../src/admin/authorizationRoute.ts'
import { createApp } from '../../../src/admin/httpServer.ts'
import { PROBLEM_TYPE } from '../../../src/admin/problem.ts'
import type { Authorizer } from '../../../src/authorize.ts'
import { systemClock } from '../../../src/clock.ts'
import { loadConfig } from '../../../src/config.ts'
import type { Logger } from '../../../src/log.ts'
import type { Transaction } from '../../../src/transaction/transaction.ts'
import { NOTHING_TOLD } from '../../../src/response/result.ts'
import { check, type Target } from '../target.ts'

const BODY_BYTES_MAX = 2000
/** Those of the examples in KEY_EXPECTED and of `/docs`. */
const CARD_DIGITS_MIN = 12

const config = loadConfig({ DATABASE_URL: 'postgres://localhost/none', REDIS_URL: 'redis://localhost' })
const app = createApp({ ...config.http, bodyBytesMax: BODY_BYTES_MAX })
/** Of the request that is under way. */
const submitted: Transaction[] = []
const faults: string[] = []
const submit: Authorizer['submit'] = (asked, respond) => {
  const transaction = asked as Transaction
  submitted.push(transaction)
  respond({
    responseCode: '00',
    reason: undefined,
    approvalCode: 'ABC123',
    approved: transaction.amount,
    balances: { available: 1, ledger: 2, currency: '818' },
    ...NOTHING_TOLD,
    rrn: undefined,
    replayed: false,
  })
}
const ignore = (): void => undefined
const log: Logger = { debug: ignore, info: ignore, warn: ignore, error: (fields) => faults.push(fields.error ?? 'a fault') }
handleErrors(app, log, BODY_BYTES_MAX)
authorizationRoute(app, { config, clock: systemClock, authorizer: { submit } as unknown as Authorizer })

const place = { card: { number: '9818010000000010', expiry: '2912' }, terminalId: 'POS00001' }
const BODIES: readonly unknown[] = [
  { kind: 'purchase', ...place, amount: '12.50', acceptorId: '000000000000001', partialAccepted: true, currency: '818' },
  { kind: 'authorization', ...place, amount: '1' },
  { kind: 'withdrawal', ...place, amount: '9999999999.99' },
  { kind: 'balance', ...place },
  { kind: 'completion', ...place, amount: '10', original: { idempotencyKey: '20261121-first' } },
  { kind: 'refund', ...place, amount: '10.5', original: { rrn: '6326ABCDEFGH', approvalCode: 'A1B2C3' } },
  { kind: 'reversal', ...place, original: { kind: 'purchase', idempotencyKey: '20261121-first' }, finalAmount: '2.50' },
  { kind: 'purchase', ...place, amount: 12.5, '9818010000000010': true },
  {},
  [],
]

export const authorizations: Target = {
  seeds: [
    ...BODIES.map((body) => Buffer.from(`20261122-a\n${JSON.stringify(body)}`)),
    Buffer.from(`"019aab2c-5e00-7a4b-9c1d-2f3e4a5b6c7d"\n${JSON.stringify(BODIES[0])}`),
    Buffer.from('\n{'),
  ],
  dictionary: [
    '"kind":',
    '"purchase"',
    '"amount":"1"',
    '"original":{',
    '"card":{',
    '"__proto__":',
    '"constructor":',
    '\\u0000',
    '\\ud800',
    'null',
    '1e999',
  ],
  bytesMax: BODY_BYTES_MAX + 100,
  async run(input) {
    const end = input.indexOf(0x0a)
    // Node.js takes no control characters in a header; what else there is comes through as Latin-1.
    const key = input.toString('latin1', 0, Math.max(0, end)).replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '')
    const body = input.subarray(end + 1)
    faults.length = 0
    submitted.length = 0
    const headers = { 'content-type': 'application/json', 'idempotency-key': key }
    const answer = await app.inject({ method: 'POST', url: '/v1/authorizations', headers, payload: body })
    check(faults.length === 0, 'no input is a fault of the switch', faults)
    if (answer.statusCode === 200) {
      checkAnswer(answer.json(), submitted[0])
      return 'accepted'
    }
    check([400, 413, 422].includes(answer.statusCode), 'a refusal is a problem of the caller', answer.statusCode)
    check(
      String(answer.headers['content-type']).startsWith(PROBLEM_TYPE) && submitted.length === 0,
      'a refusal is a problem and nothing was done',
    )
    checkSaysNothingOf(body, answer.body)
    return 'rejected'
  },
}

function checkAnswer(answer: Record<string, unknown>, transaction: Transaction | undefined): void {
  check(transaction !== undefined, 'an answer has a transaction')
  check(Number.isSafeInteger(transaction.amount) && transaction.amount >= 0, 'an amount is exact', transaction.amount)
  check(answer['approved'] === true && /^\d+\.\d\d$/.test(String(answer['amount'])), 'an answer has an amount', answer)
  check(/^\d*\*+\d*$/.test(String(answer['card'])), 'a card is masked', answer['card'])
  check(new Date(`${transaction.keyDate}T00:00:00Z`).toISOString().startsWith(transaction.keyDate), "a key's date is a day")
  check(transaction.rrn.length === 12, 'a reference fits DE 37', transaction.rrn)
}

/** What could be a card number is not said back. */
function checkSaysNothingOf(body: Buffer, answer: string): void {
  const numbers = body.toString('latin1').match(new RegExp(`\\d{${String(CARD_DIGITS_MIN)},}`, 'g')) ?? []
  check(!numbers.some((digits) => answer.includes(digits)), 'a refusal does not say a long number back', answer)
}
