/** What all calls of the programme's API have in common: who asks, the Idempotency-Key, and how an outcome becomes an answer. */
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { CardState } from '../../card.ts'
import type { Clock } from '../../clock.ts'
import type { Config } from '../../config.ts'
import { NotConnected, OutcomeUnknown } from '../../ledger/connection.ts'
import type { Command, Desk, Outcome, Refusal, SqlTransaction } from '../../ledger/programme/desk.ts'
import type { Books } from '../../ledger/settlement/books.ts'
import { errorText, type Logger } from '../../log.ts'
import type { EventMetrics, Metrics } from '../../metrics.ts'
import type { EventHub } from '../../programme/eventHub.ts'
import type { BusinessDays } from '../../settlement/businessDays.ts'
import type { DataVault } from '../../security/dataVault.ts'
import type { Hsm } from '../../security/hsm.ts'
import { Mobile, NationalId } from '../../personalData.ts'
import { actorOf } from '../access/guard.ts'
import { holdsCardNumber } from '../idempotencyKey.ts'
import { invalidRequest, namedProblem, OUTCOME_UNKNOWN, plainProblem, problemResponses, sendProblem } from '../problem.ts'

export interface ProgrammeParts {
  readonly config: Config
  readonly desk: Desk
  readonly books: Books
  readonly businessDays: BusinessDays
  /** Card numbers, national IDs and mobiles are sealed by it. */
  readonly vault: DataVault
  readonly hsm: Hsm
  readonly events: EventHub
  readonly metrics: EventMetrics & Pick<Metrics, 'watch'>
  readonly clock: Clock
  readonly log: Logger
}

const WRITE_KEY_EXPECTED = '1 to 64 characters of A-Z a-z 0-9 . _ : -, the same for a repeat of the same request, no card number'
const WRITE_KEY = /^[A-Za-z0-9._:-]{1,64}$/
/** RFC 9562, section 4: eleven of its digits may look like a mobile by chance, and no card number fits. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

export const WriteHeaders = Type.Object({
  'idempotency-key': Type.String({ description: WRITE_KEY_EXPECTED, examples: ['019aab2c-5e00-7a4b-9c1d-2f3e4a5b6c7d'] }),
  'if-match': Type.Optional(
    Type.String({ description: 'the version that the caller has seen, as its ETag: "7"', examples: ['"7"'] }),
  ),
})

/** A command without what every one has from its request. */
export interface Asked<T> extends Pick<
  Command<T>,
  'action' | 'subject' | 'detail' | 'before' | 'work' | 'afterRefusal' | 'audit'
> {
  /** Members that the first answer has besides and a repeat has not: what is kept nowhere in the clear. */
  readonly shownOnce?: () => Readonly<Record<string, unknown>>
  /** After the commit, and before the answer; of a repeat too. It is safe to repeat, and what it throws changes nothing of the answer. */
  readonly afterwards?: (value: T) => Promise<void>
}

/**
 * Runs a command for a request and answers it.
 *
 * @param status of the answer where it is done
 */
export async function answerCommand<T>(
  { desk, config, log }: ProgrammeParts,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: Asked<T>,
  status: 200 | 201 | 202 = 200,
): Promise<FastifyReply> {
  const key = writeKeyOf(request, reply, { config })
  if (key === undefined) return reply
  const idempotency = { key, fingerprint: fingerprintOf(request, config.lookupKey) }
  try {
    const outcome = await desk.run({ ...asked, actor: actorOf(request), idempotency })
    if (!outcome.ok) sendRefusal(reply, outcome.refusal)
    else {
      await asked.afterwards?.(outcome.value).catch((error: unknown) => {
        log.warn({ error: errorText(error) }, 'what follows from a command is left to a job')
      })
      if (outcome.replayed === true) void reply.header('idempotency-replayed', 'true')
      const once = outcome.replayed === true ? undefined : asked.shownOnce?.()
      void reply.code(status).send(once === undefined ? outcome.value : { ...outcome.value, ...once })
    }
  } catch (error) {
    sendTrouble(reply, error)
  }
  return reply
}

/** The Idempotency-Key of a request; undefined: there is none that is good, and that was answered. */
export function writeKeyOf(
  request: FastifyRequest,
  reply: FastifyReply,
  { config }: Pick<ProgrammeParts, 'config'>,
): string | undefined {
  const key = String(request.headers['idempotency-key'] ?? '')
  if (UUID.test(key)) return key
  if (WRITE_KEY.test(key) && !holdsCardNumber(key, config.security.profiles) && !holdsPersonalNumber(key)) return key
  sendProblem(reply, invalidRequest([{ path: 'Idempotency-Key', expected: WRITE_KEY_EXPECTED }]))
  return undefined
}

/** Keys are stored as they are: no national ID and no mobile. */
function holdsPersonalNumber(key: string): boolean {
  for (let at = 0; at < key.length; at++)
    if (NationalId.parse(key.slice(at, at + 14)) !== undefined || Mobile.parse(key.slice(at, at + 11)) !== undefined) return true
  return false
}

/** Looks something up for a request and answers it. */
export async function answerRead<T>(
  { desk }: ProgrammeParts,
  reply: FastifyReply,
  look: (tx: SqlTransaction) => Promise<Outcome<T>>,
): Promise<FastifyReply> {
  try {
    const outcome = await desk.read(look)
    if (outcome.ok) void reply.send(outcome.value)
    else sendRefusal(reply, outcome.refusal)
  } catch (error) {
    sendTrouble(reply, error)
  }
  return reply
}

/** The version in If-Match; undefined where there is none. @returns NaN where it is none of ours: it matches nothing */
export function versionSeen(request: FastifyRequest): number | undefined {
  const header = request.headers['if-match']
  if (header === undefined || header === '*') return undefined
  return Number(/^"(\d{1,15})"$/.exec(header)?.[1] ?? NaN)
}

/** RFC 9110 section 8.8.3. */
export function etag(version: number): string {
  return `"${String(version)}"`
}

const STATUS: Readonly<Record<Refusal['kind'], number>> = {
  'not-found': 404,
  conflict: 409,
  stale: 412,
  invalid: 422,
  forbidden: 403,
  locked: 429,
}

export function sendRefusal(reply: FastifyReply, { kind, name, detail, field, retryAfterS }: Refusal): void {
  if (retryAfterS !== undefined) void reply.header('retry-after', String(retryAfterS))
  sendProblem(
    reply,
    namedProblem(name, {
      title: titleOf(name),
      status: STATUS[kind],
      detail,
      ...(field === undefined ? {} : { errors: [{ path: field, expected: detail }] }),
    }),
  )
}

function titleOf(name: string): string {
  const words = name.replaceAll('-', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** @throws what is a fault of ours */
export function sendTrouble(reply: FastifyReply, error: unknown): void {
  if (error instanceof NotConnected) {
    void reply.header('retry-after', '1')
    sendProblem(reply, plainProblem(503, 'The ledger cannot be reached. Nothing was done; try again.'))
  } else if (error instanceof OutcomeUnknown) {
    sendProblem(reply, {
      ...OUTCOME_UNKNOWN,
      detail: 'It may have been done or not. Send it again with the same Idempotency-Key.',
    })
  } else throw error
}

/** Keyed, because a body may hold a national ID: nobody who reads the database can find out which. */
function fingerprintOf(request: FastifyRequest, lookupKey: Uint8Array): string {
  const { method, url, body } = request
  return createHash('sha256')
    .update(lookupKey)
    .update(`${method} ${url}\n`)
    .update(JSON.stringify(body ?? null))
    .digest('base64url')
}

/** What any write may answer. */
export function writeProblems(more: Readonly<Record<number, string>> = {}): Record<string, unknown> {
  return problemResponses({
    400: 'The request is not what this call takes: which member, and what was expected',
    401: 'No token, or one that is not good',
    403: 'The token has no role for this',
    409: 'It cannot be done as things are, or the Idempotency-Key came before with another request',
    412: 'If-Match: it was changed meanwhile',
    413: 'The body is too large',
    415: 'The body is of another content type than this call takes',
    422: 'What was given is wrong: which member, and why',
    429: 'Too many requests, or too many wrong identities',
    503: 'The ledger cannot be reached: nothing was done',
    504: 'The outcome is not known: send it again with the same key',
    ...more,
  })
}

export function readProblems(more: Readonly<Record<number, string>> = {}): Record<string, unknown> {
  return problemResponses({
    400: 'The request is not what this call takes: which member, and what was expected',
    401: 'No token, or one that is not good',
    403: 'The token has no role for this',
    404: 'There is no such thing',
    429: 'Too many requests',
    503: 'The ledger cannot be reached',
    ...more,
  })
}

export const CardIdSchema = Type.String({
  pattern: '^[A-Za-z0-9_-]{22}$',
  description: 'a card id, 22 characters as cardId has them; never the card number',
  examples: ['pW3bq0kJx7T1u5mYc2Zr8A'],
})

export const CARD_STATES: readonly CardState[] = [
  'ORDERED',
  'AWAITING_COLLECTION',
  'AWAITING_COLLECTION_DIWAN',
  'ACTIVE',
  'SUSPENDED_BIOMETRIC',
  'PIN_BLOCKED',
  'PIN_LOST',
  'LOST',
  'STOLEN',
  'DAMAGED',
  'REPLACED',
  'EXPIRED',
  'DESTROYED',
  'CANCELLED',
  'CLOSED',
  'RETIRED',
]
