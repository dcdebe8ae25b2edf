/** One message's bytes in, its answer's bytes out: what every link and `POST /iso8583` end in. */
import type { Authorizer } from './authorize.ts'
import { cairoDay, type Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { MessageLink } from './settings.ts'
import type { DeclineReason } from './decision/decision.ts'
import type { HotCards } from './hotCards.ts'
import { decode, type DecodeError } from './iso8583/decode.ts'
import type { Encoded } from './iso8583/encode.ts'
import type { Message } from './iso8583/message.ts'
import type { MessageSpec } from './iso8583/messageSpec.ts'
import { parseMti } from './iso8583/mti.ts'
import type { Logger } from './log.ts'
import type { MacGate } from './macGate.ts'
import type { NetworkManagement } from './networkManagement.ts'
import type { Reconciler } from './reconciler.ts'
import { parametersOn } from './programmeParameters.ts'
import { answerTo, fileUpdateAnswerTo, networkAnswerTo } from './response/answer.ts'
import { reconciliationAnswerTo } from './response/reconciliationAnswer.ts'
import { CODE_OF_REASON } from './response/responseCodes.ts'
import { NOTHING_TOLD } from './response/result.ts'
import { classify } from './transaction/classify.ts'
import type { Origin } from './transaction/origin.ts'

export interface MessageParts {
  readonly config: Pick<Config, 'lookupKey' | 'programme' | 'security'>
  readonly authorizer: Authorizer
  readonly macGate: MacGate
  readonly network: Pick<NetworkManagement, 'answer'>
  readonly hotCards: Pick<HotCards, 'answer'>
  readonly reconciler: Pick<Reconciler, 'answer'>
  readonly clock: Clock
  readonly log: Logger
}

export type MessageOutcome =
  | { readonly kind: 'answer'; readonly bytes: Buffer }
  /** The outcome is not known: no answer, so that the terminal reverses. */
  | { readonly kind: 'silent' }
  /** It cannot be answered at all: the connection is closed. `reason` holds no card data. */
  | { readonly kind: 'close'; readonly reason: string }

type Done = (outcome: MessageOutcome) => void

/** Calls `done` exactly once. */
export function answerMessage(
  parts: MessageParts,
  link: MessageLink,
  spec: MessageSpec,
  frame: Buffer,
  origin: Origin,
  done: Done,
): void {
  const { macGate } = parts
  const { mac } = link
  const decoded = decode(spec, frame)
  if (!decoded.ok) {
    const key = mac === undefined ? undefined : macGate.keyOf(mac, decoded.error.partial)
    const answering = new Answering(parts, link, origin, key, done)
    rejectFrame(answering, decoded.error)
    return
  }
  const { message } = decoded
  if (!takesAnswer(message.mti)) {
    done({ kind: 'close', reason: `MTI ${message.mti} is not a request` })
    return
  }
  if (mac === undefined) {
    answerRequest(new Answering(parts, link, origin, undefined, done), message)
    return
  }
  macGate.verify(mac, message, frame, (key) => {
    const authenticated = { ...origin, macKey: macGate.baseOf(mac, message) }
    const answering = new Answering(parts, link, authenticated, key ?? macGate.keyOf(mac, message), done)
    if (key === undefined) reject(answering, message, 'mac')
    else answerRequest(answering, message)
  })
}

/** What is needed to answer one message: where it came from, and the key that its answer is authenticated with, if any. */
class Answering {
  readonly parts: MessageParts
  readonly link: MessageLink
  readonly origin: Origin
  readonly macKey: string | undefined
  readonly #done: Done

  constructor(parts: MessageParts, link: MessageLink, origin: Origin, macKey: string | undefined, done: Done) {
    this.parts = parts
    this.link = link
    this.origin = origin
    this.macKey = macKey
    this.#done = done
  }

  /** Room for a MAC is left where one is needed. */
  get authenticated(): boolean {
    return this.macKey !== undefined
  }

  silent(): void {
    this.#done({ kind: 'silent' })
  }

  close(reason: string): void {
    this.#done({ kind: 'close', reason })
  }

  answer(spec: MessageSpec, encoded: Encoded): void {
    if (!encoded.ok) {
      this.close(`the answer cannot be written: ${encoded.error.path} expected ${encoded.error.expected}`)
      return
    }
    const { bytes } = encoded
    if (this.macKey === undefined) {
      this.#done({ kind: 'answer', bytes })
      return
    }
    this.parts.macGate.seal(this.macKey, spec, bytes, (sealed) => {
      this.#done(sealed ? { kind: 'answer', bytes } : { kind: 'silent' })
    })
  }
}

function answerRequest(answering: Answering, message: Message): void {
  const { parts, link } = answering
  const nowMs = parts.clock.now()
  const { programme, lookupKey, security } = parts.config
  const { services } = parametersOn(programme, cairoDay(nowMs))
  const { profiles } = security
  const classified = classify(message, { link, nowMs, lookupKey, accountTypes: programme.accountTypes, services, profiles })
  switch (classified.kind) {
    case 'network':
      parts.network.answer(link, message, classified.code, (result) => {
        answering.answer(message.spec, networkAnswerTo(message, result, answering.authenticated))
      })
      return
    case 'file-update':
      parts.hotCards.answer(link, message, (result) => {
        if (result === undefined) answering.silent()
        else answering.answer(message.spec, fileUpdateAnswerTo(message, result, answering.authenticated))
      })
      return
    case 'reconciliation':
      parts.reconciler.answer(link, answering.origin, message, (result) => {
        if (result === undefined) answering.silent()
        else answering.answer(message.spec, reconciliationAnswerTo(message, result, answering.authenticated))
      })
      return
    case 'reject':
      parts.log.info({ link: link.name, path: classified.path, reason: `needs ${classified.expected}` }, 'message rejected')
      reject(answering, message, 'format_error')
      return
    case 'unsupported':
    case 'transaction':
      parts.authorizer.submit(
        classified.kind === 'transaction' ? classified.transaction : classified,
        (result) => {
          if (result === undefined) answering.silent()
          else answering.answer(message.spec, answerTo(message, result, answering.authenticated))
        },
        answering.origin,
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
function rejectFrame(answering: Answering, error: DecodeError): void {
  const reason = `${error.code}: expected ${error.expected}, found ${error.found}`
  const { parts, link } = answering
  parts.log.info({ link: link.name, path: error.path, offset: error.offset, reason }, 'message rejected')
  const { partial } = error
  if (partial?.has(11) === true && partial.has(41) && takesAnswer(partial.mti)) reject(answering, partial, 'format_error')
  else answering.close(`message cannot be read at ${error.path}`)
}

/** Said before anything was looked up; nothing is stored of it. */
function reject(answering: Answering, message: Message, reason: DeclineReason): void {
  const result = {
    responseCode: CODE_OF_REASON[reason],
    reason,
    approvalCode: undefined,
    approved: 0,
    balances: undefined,
    ...NOTHING_TOLD,
    rrn: message.text(37),
    replayed: false,
  }
  answering.answer(message.spec, answerTo(message, result, answering.authenticated))
}
