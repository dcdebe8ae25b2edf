/** One message's bytes in, its answer's bytes out: what every link and `POST /iso8583` end in. */
import type { Authorizer } from './authorize.ts'
import { cairoDay, type Clock } from './clock.ts'
import type { Config, LinkConfig } from './config.ts'
import { decode, type DecodeError } from './iso8583/decode.ts'
import type { Encoded } from './iso8583/encode.ts'
import type { Message } from './iso8583/message.ts'
import type { MessageSpec } from './iso8583/messageSpec.ts'
import { parseMti } from './iso8583/mti.ts'
import type { Logger } from './log.ts'
import { parametersOn } from './programmeParameters.ts'
import { answerTo, networkAnswerTo } from './response/answer.ts'
import { APPROVED, CODE_OF_REASON } from './response/responseCodes.ts'
import { NOTHING_TOLD } from './response/result.ts'
import { classify } from './transaction/classify.ts'
import type { Origin } from './transaction/origin.ts'

export interface MessageParts {
  readonly config: Pick<Config, 'lookupKey' | 'programme'>
  readonly authorizer: Authorizer
  readonly clock: Clock
  readonly log: Logger
}

export type MessageOutcome =
  | { readonly kind: 'answer'; readonly bytes: Buffer }
  /** The outcome is not known: no answer, so that the terminal reverses. */
  | { readonly kind: 'silent' }
  /** It cannot be answered at all: the connection is closed. `reason` holds no card data. */
  | { readonly kind: 'close'; readonly reason: string }

/** DE 70: sign on, sign off, echo. */
const NETWORK_CODES: readonly string[] = ['001', '002', '301']

/** Calls `done` exactly once. */
export function answerMessage(
  parts: MessageParts,
  link: Pick<LinkConfig, 'name' | 'keyTime' | 'accountTypes'>,
  spec: MessageSpec,
  frame: Buffer,
  origin: Origin,
  done: (outcome: MessageOutcome) => void,
): void {
  const decoded = decode(spec, frame)
  if (!decoded.ok) {
    done(rejectFrame(parts, link, decoded.error))
    return
  }
  const { message } = decoded
  if (!takesAnswer(message.mti)) {
    done({ kind: 'close', reason: `MTI ${message.mti} is not a request` })
    return
  }
  const nowMs = parts.clock.now()
  const { programme, lookupKey } = parts.config
  const { services } = parametersOn(programme, cairoDay(nowMs))
  const classified = classify(message, { link, nowMs, lookupKey, accountTypes: programme.accountTypes, services })
  switch (classified.kind) {
    case 'network':
      done(outcomeOf(networkAnswerTo(message, networkCode(classified.code))))
      return
    case 'reject':
      parts.log.info({ link: link.name, path: classified.path, reason: `needs ${classified.expected}` }, 'message rejected')
      done(outcomeOf(formatError(message)))
      return
    case 'unsupported':
      parts.authorizer.submit(
        classified,
        (result) => {
          done(result === undefined ? { kind: 'silent' } : outcomeOf(answerTo(message, result)))
        },
        origin,
      )
      return
    case 'transaction':
      parts.authorizer.submit(
        classified.transaction,
        (result) => {
          done(result === undefined ? { kind: 'silent' } : outcomeOf(answerTo(message, result)))
        },
        origin,
      )
  }
}

/** Requests and advices, originals and repeats: the third digit of the MTI is even (ISO 8583-1:1987 section 4.1). */
function takesAnswer(mti: string): boolean {
  const parsed = parseMti(mti)
  return parsed === undefined
    ? Number(mti.charAt(2)) % 2 === 0
    : parsed.messageFunction === 'request' || parsed.messageFunction === 'advice'
}

/** 30 where MTI, trace number and terminal could still be read; else there is nobody to answer. */
function rejectFrame(parts: MessageParts, link: Pick<LinkConfig, 'name'>, error: DecodeError): MessageOutcome {
  const reason = `${error.code}: expected ${error.expected}, found ${error.found}`
  parts.log.info({ link: link.name, path: error.path, offset: error.offset, reason }, 'message rejected')
  const { partial } = error
  if (partial?.has(11) === true && partial.has(41) && takesAnswer(partial.mti)) return outcomeOf(formatError(partial))
  return { kind: 'close', reason: `message cannot be read at ${error.path}` }
}

function formatError(message: Message): Encoded {
  const responseCode = CODE_OF_REASON.format_error
  const rrn = message.text(37)
  return answerTo(message, {
    responseCode,
    reason: 'format_error',
    approvalCode: undefined,
    approved: 0,
    balances: undefined,
    ...NOTHING_TOLD,
    rrn,
    replayed: false,
  })
}

function networkCode(code: string): string {
  if (code === '') return CODE_OF_REASON.format_error
  return NETWORK_CODES.includes(code) ? APPROVED : CODE_OF_REASON.unsupported
}

function outcomeOf(encoded: Encoded): MessageOutcome {
  if (encoded.ok) return { kind: 'answer', bytes: encoded.bytes }
  return { kind: 'close', reason: `the answer cannot be written: ${encoded.error.path} expected ${encoded.error.expected}` }
}
