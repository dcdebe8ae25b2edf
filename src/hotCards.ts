/**
 * File updates of the hot card file (ISO 8583-1:1987 DE 91 and DE 101): 0302 of a hotline, answered 0312. Adding a card to the file, or replacing what
 * is known of it there, is the report of src/programme/reportCard.ts; DE 48 HR says what is reported, RF the number of the call.
 *
 * While the ledger cannot be reached a report is kept in Redis, where every process sees it, and in the journal of stand-in, and is done when the ledger is back.
 *
 * A 0302 is done once by link, acquirer, DE 7 and DE 11, and its repeat (0303) gets the same answer. What was refused is looked at again.
 */
import { createHash } from 'node:crypto'
import { cardToken } from './card.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { MessageLink } from './settings.ts'
import { parsePrivateData, privateDatum } from './iso8583/privateData.ts'
import type { Message } from './iso8583/message.ts'
import type { HotState } from './decision/hotState.ts'
import { stopInStandIn } from './decision/standInState.ts'
import type { Ledger } from './ledger/ledger.ts'
import { NotConnected, OutcomeUnknown } from './ledger/connection.ts'
import { readCardLife } from './ledger/programme/cards.ts'
import { done, type Actor, type Desk, type Outcome } from './ledger/programme/desk.ts'
import { errorText, type Logger } from './log.ts'
import { reportCard, reportOf, stateAfterReport } from './programme/reportCard.ts'
import type { StandInLine } from './standInLine.ts'
import type { Posted } from './standin/drain.ts'
import { JournalUncertain } from './standin/journal.ts'
import type { Journals } from './standin/journals.ts'
import type { StopRecord } from './standin/record.ts'
import type { FileUpdateResult } from './response/answer.ts'
import { APPROVED, CODE_OF_REASON, FILE_CODE_OF_REASON, type FileReason } from './response/responseCodes.ts'
import {
  FILE_UPDATE_CODES,
  HOT_CARD_FILE,
  REFERENCE_PATTERN,
  REPORT_LETTERS,
  reportOfLetter,
  type Report,
} from './transaction/hotCardFile.ts'
import { acquirerPart, dateOf, isTransmissionTime, isWithinRetention } from './transaction/identity.ts'

export interface HotCardsParts {
  readonly config: Pick<Config, 'lookupKey' | 'authorization' | 'desk'>
  readonly desk: Desk
  /** Absent: while the ledger cannot be reached nothing is taken. */
  readonly standIn?: StandInStops | undefined
  readonly clock: Clock
  readonly log: Logger
}

/** Where stops go while the ledger cannot be reached. */
export interface StandInStops {
  readonly ledger: Pick<Ledger, 'available'>
  readonly hotState: HotState
  readonly journals: Journals
  readonly line: StandInLine
}

interface FileUpdate {
  readonly pan: string
  readonly code: string
  readonly what: Report | undefined
  readonly reference: string | undefined
  /** What makes it one: link, acquirer, date, time and trace number. */
  readonly key: string
}

export class HotCards {
  readonly #parts: HotCardsParts
  #underWay = 0

  constructor(parts: HotCardsParts) {
    this.#parts = parts
  }

  /** Calls `done` exactly once; with undefined where nobody knows whether it was done: no answer, so that it is repeated. */
  answer(link: MessageLink, message: Message, done: (result: FileUpdateResult | undefined) => void): void {
    const { config, log } = this.#parts
    if (link.hotCards !== true) {
      log.warn({ link: link.name }, 'a file update came by a link that may send none')
      done(declined('link_not_permitted'))
      return
    }
    const update = this.#readUpdate(link, message)
    if ('responseCode' in update) {
      done(update)
      return
    }
    if (this.#underWay >= config.desk.fileUpdatesMax) {
      done({ responseCode: CODE_OF_REASON.cannot_decide, reason: 'cannot_decide' })
      return
    }
    this.#underWay++
    this.#do(link, update)
      .catch((error: unknown) => this.#trouble(link, error))
      .then((result) => {
        this.#underWay--
        done(result)
      })
      .catch((error: unknown) => {
        log.error({ stage: 'hotCards', error: errorText(error) }, 'fault')
      })
  }

  #readUpdate(link: MessageLink, message: Message): FileUpdate | FileUpdateResult {
    const { config, clock, log } = this.#parts
    const wrong = (path: string): FileUpdateResult => {
      log.info({ link: link.name, path, reason: 'a file update needs it' }, 'message rejected')
      return { responseCode: CODE_OF_REASON.format_error, reason: 'format_error' }
    }
    const [pan, time, stan, code] = [message.text(2), message.text(7), message.text(11), message.text(91)]
    const nowMs = clock.now()
    const day = time !== undefined && isTransmissionTime(time) ? dateOf(time.slice(0, 4), nowMs) : undefined
    if (time === undefined || day === undefined) return wrong('DE 7')
    if (stan === undefined) return wrong('DE 11')
    if (code === undefined) return wrong('DE 91')
    if (message.text(101)?.trimEnd() !== HOT_CARD_FILE) return message.has(101) ? declined('file_not_supported') : wrong('DE 101')
    if (!SUPPORTED.includes(code)) return declined('file_not_supported')
    if (pan === undefined) return wrong('DE 2')
    // Keys are kept for a time; what is older could not be known again.
    if (!isWithinRetention(day, nowMs, config.authorization.retentionDays))
      return { responseCode: CODE_OF_REASON.stale, reason: 'stale' }
    const data = parsePrivateData(message.text(48) ?? '')
    if (!data.ok) return wrong('DE 48')
    const letter = privateDatum(data.value, 'HR')
    const what = reportOfLetter(letter ?? '')
    if (code !== FILE_UPDATE_CODES.inquiry && letter === undefined) return wrong('DE 48 HR')
    if (code !== FILE_UPDATE_CODES.inquiry && what === undefined) return declined('file_field')
    const reference = privateDatum(data.value, 'RF')
    if (reference !== undefined && !REFERENCE.test(reference)) return declined('file_field')
    return { pan, code, what, reference, key: `${acquirerPart(message.text(32), link.name)}.${day}.${time.slice(4)}.${stan}` }
  }

  async #do(link: MessageLink, { pan, code, what, reference, key }: FileUpdate): Promise<FileUpdateResult | undefined> {
    const { config, desk } = this.#parts
    const token = cardToken(pan, config.lookupKey)
    if (what === undefined || code === FILE_UPDATE_CODES.inquiry) {
      const card = await desk.read((tx) => readCardLife(tx, token))
      const listed = card === undefined ? undefined : reportOf(card.state)
      return listed === undefined ? declined('record_unknown') : { responseCode: APPROVED, listedAs: REPORT_LETTERS[listed] }
    }
    const fingerprint = this.#fingerprint([token, code, what, reference])
    const report = { token, what, reference: reference ?? null, key, fingerprint, link: link.name }
    const { standIn } = this.#parts
    if (standIn?.ledger.available === false) return await this.#stop(standIn, report)
    const outcome = await this.#report(report)
    if (outcome.ok) return { responseCode: APPROVED, listedAs: REPORT_LETTERS[outcome.value.listedAs] }
    const { kind, name } = outcome.refusal
    if (kind === 'not-found') return declined('record_unknown')
    if (name === 'idempotency-key-reused') return { responseCode: CODE_OF_REASON.other_body, reason: 'other_body' }
    return declined('file_not_updated')
  }

  async #report({ token, what, reference, key, fingerprint, link }: Omit<StopRecord, 'type' | 'atMs'>): Promise<Outcome<Listed>> {
    const actor: Actor = { name: `link ${link}`, roles: ['link'] }
    return await this.#parts.desk.run({
      actor,
      action: 'card.report',
      subject: `card ${token}`,
      detail: { what, ...(reference === null ? {} : { reference }) },
      idempotency: { key, fingerprint },
      work: async (tx) => {
        const reported = await reportCard(tx, { token, what, repeatable: true })
        return reported.ok ? done({ listedAs: what }) : reported
      },
    })
  }

  /** Only of a card that Redis knows: of another nobody here can say that there is one, and none of its messages is approved before the ledger is back. */
  async #stop(
    { hotState, journals, line }: StandInStops,
    report: Omit<StopRecord, 'type' | 'atMs'>,
  ): Promise<FileUpdateResult | undefined> {
    const { clock, log } = this.#parts
    const { token, what } = report
    const cannot: FileUpdateResult = { responseCode: CODE_OF_REASON.cannot_decide, reason: 'cannot_decide' }
    if (!journals.ready || !hotState.up) return cannot
    try {
      const { cards } = await hotState.cards([token])
      const state = cards[0] === undefined ? undefined : stateAfterReport(what, cards[0].state)
      if (state === undefined) return cannot
      await line.whileOpen(async () => {
        await stopInStandIn(hotState, journals.name, token, state)
        await journals.append({ type: 'stop', ...report, atMs: clock.now() })
      })
      return { responseCode: APPROVED, listedAs: REPORT_LETTERS[what] }
    } catch (error) {
      log.error({ link: report.link, error: errorText(error) }, 'a file update could not be written down')
      return error instanceof JournalUncertain ? undefined : cannot
    }
  }

  /** Does what was taken while the ledger could not be reached. */
  async post(record: StopRecord): Promise<Posted> {
    const { log } = this.#parts
    try {
      const outcome = await this.#report(record)
      if (outcome.ok) return 'posted'
      log.error({ link: record.link, reason: outcome.refusal.name }, 'a stop that was taken in stand-in is refused by the ledger')
      return 'skipped'
    } catch (error) {
      log.warn({ link: record.link, error: errorText(error) }, 'a stop that was taken in stand-in cannot be done yet')
      return error instanceof NotConnected || error instanceof OutcomeUnknown ? undefined : 'failed'
    }
  }

  #trouble(link: MessageLink, error: unknown): FileUpdateResult | undefined {
    const { log } = this.#parts
    log.error({ link: link.name, error: errorText(error) }, 'a file update could not be done')
    if (error instanceof OutcomeUnknown) return undefined
    const reason = error instanceof NotConnected ? 'cannot_decide' : 'fault'
    return { responseCode: CODE_OF_REASON[reason], reason }
  }

  #fingerprint(parts: readonly (string | undefined)[]): string {
    const text = parts.map((part) => part ?? '').join('\u001f')
    return createHash('sha256').update(this.#parts.config.lookupKey).update(text).digest('base64url')
  }
}

interface Listed {
  readonly listedAs: Report
}

const SUPPORTED: readonly string[] = Object.values(FILE_UPDATE_CODES)
const REFERENCE = new RegExp(REFERENCE_PATTERN)

function declined(reason: FileReason): FileUpdateResult {
  return { responseCode: FILE_CODE_OF_REASON[reason], reason }
}
