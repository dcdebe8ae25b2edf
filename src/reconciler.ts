/** Closes shifts of terminals and acquirers (0500, 0520): adds up the ledger to what was answered before the message, compares, and cuts. */
import type { Config } from './config.ts'
import type { MessageLink } from './settings.ts'
import { elapsed, type Clock } from './clock.ts'
import type { DeclineReason } from './decision/decision.ts'
import type { Message } from './iso8583/message.ts'
import type { Ledger } from './ledger/ledger.ts'
import { advanceFrontier, lastEventNumber, NO_FRONTIER } from './ledger/programme/eventFeed.ts'
import type { Desk, SqlTransaction } from './ledger/programme/desk.ts'
import { addUpTerminals, closeShift } from './ledger/settlement/terminalTotals.ts'
import { errorText, type Logger } from './log.ts'
import type { ReconciliationResult } from './response/reconciliationAnswer.ts'
import { CODE_OF_REASON } from './response/responseCodes.ts'
import { mayComeBy, type Origin } from './transaction/origin.ts'
import { readReconciliation, type Reconciliation } from './transaction/reconciliation.ts'

export interface ReconcilerParts {
  readonly config: { readonly settlement: Pick<Config['settlement'], 'addUpEveryMs' | 'shiftsWaitingMax' | 'patienceMs'> }
  readonly ledger: Pick<Ledger, 'terminals'>
  readonly desk: Pick<Desk, 'read'>
  readonly clock: Clock
  readonly log: Logger
}

type Done = (result: ReconciliationResult | undefined) => void

export class Reconciler {
  readonly #parts: ReconcilerParts
  #waiting = 0
  #running: Promise<unknown> = Promise.resolve()
  #next: Promise<boolean> | undefined
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(parts: ReconcilerParts) {
    this.#parts = parts
  }

  /** Keeps the totals near the ledger's end, so that closing a shift has little to add up. */
  start(): void {
    const { clock, log, config } = this.#parts
    this.#cancel = clock.after(config.settlement.addUpEveryMs, () => {
      this.#upToNow()
        .catch((error: unknown) => {
          log.warn({ error: errorText(error) }, 'terminals cannot be added up; tried again')
        })
        .finally(() => {
          if (!this.#stopped) this.start()
        })
    })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  /** Calls `done` exactly once: with undefined where nobody knows whether the shift was closed, so that it is asked for again. */
  answer(link: MessageLink, origin: Origin, message: Message, done: Done): void {
    const { config, clock, log } = this.#parts
    const read = readReconciliation(message, { link, nowMs: clock.now() })
    if (read.kind === 'reject') {
      log.info({ link: link.name, path: read.path, reason: `needs ${read.expected}` }, 'message rejected')
      done(refusal('format_error'))
      return
    }
    if (this.#waiting >= config.settlement.shiftsWaitingMax) {
      done(refusal('cannot_decide'))
      return
    }
    this.#waiting++
    this.#close(read.reconciliation, origin, link)
      .catch((error: unknown) => {
        log.warn({ link: link.name, stage: 'reconciliation', error: errorText(error) }, 'a shift could not be closed')
        return undefined
      })
      .then(done)
      .catch((error: unknown) => {
        log.error({ stage: 'reconciliation', error: errorText(error) }, 'fault')
      })
      .finally(() => {
        this.#waiting--
      })
  }

  async #close(reconciliation: Reconciliation, origin: Origin, link: MessageLink): Promise<ReconciliationResult> {
    const reason = await this.#strange(reconciliation, origin, link)
    if (reason !== undefined) return refusal(reason)
    if (!(await this.#upToNow())) return refusal('cannot_decide')
    const closed = await this.#parts.desk.read((tx) => closeShift(tx, reconciliation))
    if (closed === undefined) return refusal('cannot_decide')
    if (closed.otherBody) return refusal('other_body')
    return { responseCode: closed.responseCode, ours: closed.ours }
  }

  /**
   * The same for all who wait: thousands close their shifts at one time, and a connection each would leave none for the desk. What is under way may have
   * begun before a message; the one after it has not.
   */
  #upToNow(): Promise<boolean> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      const adding = this.#parts.desk.read((tx) => this.#addUp(tx))
      this.#running = adding.catch(() => undefined)
      return adding
    })
    return this.#next
  }

  /**
   * Adds up everything that was answered before now, and perhaps a little more.
   *
   * @returns false where something that began before now has not ended within the time there is
   */
  async #addUp(tx: SqlTransaction): Promise<boolean> {
    const { clock, config } = this.#parts
    const wanted = await lastEventNumber(tx)
    const untilMs = clock.now() + config.settlement.patienceMs
    let frontier = await advanceFrontier(tx, NO_FRONTIER)
    while (frontier.final < wanted && clock.now() < untilMs) {
      await elapsed(clock, LOOK_EVERY_MS)
      frontier = await advanceFrontier(tx, frontier)
    }
    await addUpTerminals(tx, frontier.final)
    return frontier.final >= wanted
  }

  /** A terminal has to be one of the programme's, and to come the way that it is bound to. DE 32 is a claim: whose it is says the link. */
  async #strange(
    { terminalId, acceptorId, acquirer }: Reconciliation,
    origin: Origin,
    { name, acquirers = [] }: MessageLink,
  ): Promise<DeclineReason | undefined> {
    if (terminalId === undefined) return acquirer === name || acquirers.includes(acquirer) ? undefined : 'terminal_not_bound'
    const terminal = (await this.#parts.ledger.terminals([terminalId])).get(terminalId)
    if (terminal === undefined) return 'terminal_unknown'
    if (!mayComeBy(terminal, origin)) return 'terminal_not_bound'
    return acceptorId !== undefined && acceptorId !== terminal.merchant.acceptorId ? 'merchant_unknown' : undefined
  }
}

const LOOK_EVERY_MS = 10

function refusal(reason: DeclineReason): ReconciliationResult {
  return { responseCode: CODE_OF_REASON[reason], ours: undefined }
}
