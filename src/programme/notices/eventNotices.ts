/**
 * Tells people of what messages did, which commit_batch writes into the outbox of events and nobody else: cards whose PIN or fingerprints were tried too
 * often, old cards that ended, and each transaction of holders who asked for it. One process at a time reads on from where the last one stopped; notices and
 * progress are one SQL transaction, so that nothing is told twice or left out.
 */
import { cairoStamp, type Clock } from '../../clock.ts'
import type { Config } from '../../config.ts'
import { NotConnected } from '../../ledger/connection.ts'
import { readCardLife } from '../../ledger/programme/cards.ts'
import type { Desk, SqlTransaction } from '../../ledger/programme/desk.ts'
import {
  lockNoticeProgress,
  readNoticeableEvents,
  writeNoticeProgress,
  type NoticeableEvent,
} from '../../ledger/programme/noticeableEvents.ts'
import { errorText, type Logger } from '../../log.ts'
import { formatAmount } from '../../money.ts'
import { KIND } from '../../transaction/transaction.ts'
import { TRANSITIONS, type CardEvent } from '../cardLife.ts'
import { addTransactionNotice, noticesOfCardEvent } from './cardNotices.ts'

export interface EventNoticesParts {
  readonly config: Pick<Config, 'events'>
  readonly desk: Pick<Desk, 'upkeep'>
  /** The number up to which events are final. */
  readonly final: () => number
  readonly clock: Clock
  readonly log: Logger
}

const BY_MESSAGE = new Map<string, CardEvent>(
  TRANSITIONS.filter(({ byMessage }) => byMessage === true).map(({ event }) => [`card.${event}`, event]),
)

/** As config/notices.json names what was done. A hold is told when it is completed. */
const TOLD = new Map<number, string>([
  [KIND.purchase, 'purchase'],
  [KIND.completion, 'purchase'],
  [KIND.withdrawal, 'withdrawal'],
  [KIND.deposit, 'deposit'],
  [KIND.credit, 'credit'],
  [KIND.payment, 'payment'],
  [KIND.refund, 'refund'],
  [KIND.paymentRefund, 'refund'],
  [KIND.copayRefund, 'refund'],
  [KIND.reversal, 'reversal'],
  [KIND.dispense, 'dispense'],
  [KIND.copay, 'copay'],
])

/** Event numbers that are looked at in one SQL transaction. */
const NUMBERS_MAX = 20_000
/** The only unit that is counted whole. */
const WHOLE_UNIT = 'LOAF'

export class EventNotices {
  readonly #parts: EventNoticesParts
  #cancel: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(parts: EventNoticesParts) {
    this.#parts = parts
  }

  start(): void {
    const { clock, config } = this.#parts
    this.#cancel = clock.after(config.events.pollMs, () => {
      this.#running = this.round().then(() => {
        if (!this.#stopped) this.start()
      })
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#running
  }

  /** Tells all that is final. Does not reject. */
  async round(): Promise<void> {
    const { desk, log } = this.#parts
    try {
      for (let more = true; more && !this.#stopped;) more = await desk.upkeep((tx) => this.#tell(tx))
    } catch (error) {
      if (!(error instanceof NotConnected)) log.warn({ error: errorText(error) }, 'people are told of events later')
    }
  }

  /** @returns whether there may be more */
  async #tell(tx: SqlTransaction): Promise<boolean> {
    const { config, final } = this.#parts
    const limit = config.events.pageMax
    const end = final()
    if (end === 0) return false
    const after = await lockNoticeProgress(tx, end)
    if (after === undefined || after >= end) return false
    const until = Math.min(end, after + NUMBERS_MAX)
    const found = await readNoticeableEvents(tx, { after, until, limit, events: [...BY_MESSAGE.keys()], kinds: [...TOLD.keys()] })
    for (const event of found) await addNotice(tx, event)
    const reached = found.length < limit ? until : (found.at(-1)?.number ?? until)
    await writeNoticeProgress(tx, reached)
    return reached < end
  }
}

async function addNotice(tx: SqlTransaction, event: NoticeableEvent): Promise<void> {
  const { token, number, at, kind, approved, quantity, unit, key } = event
  const cardEvent = BY_MESSAGE.get(event.event ?? '')
  if (cardEvent !== undefined) {
    await noticesOfCardEvent(tx, { token, event: cardEvent, once: String(number) })
    return
  }
  const card = await readCardLife(tx, token)
  const what = TOLD.get(kind)
  if (card === undefined || what === undefined || unit === null) return
  const moved = quantity ?? approved
  const amount = unit === WHOLE_UNIT ? String(moved) : formatAmount(moved)
  await addTransactionNotice(tx, { card, what, amount, unit, time: shownTime(at.getTime()), key: `${String(number)}|${key}` })
}

/** `27/11/2026 14:05`, in Cairo. */
function shownTime(ms: number): string {
  const [day = '', time = ''] = cairoStamp(ms).split(' ')
  return `${day.split('-').toReversed().join('/')} ${time.slice(0, 2)}:${time.slice(2, 4)}`
}
