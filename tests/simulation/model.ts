/**
 * The reference model: knows every message that was sent, reads each decision as it becomes durable, and judges every answer and every posting by
 * the rules of the programme. It shares no code with the switch and keeps no more than plain sums. What it allows, and why, stands where it does.
 */
import { cairoDay } from './cairoDay.ts'
import type { AuthorizationRow, FakeTables } from './fakeTables.ts'
import { keyOf, terminalOf, type Answer, type Composed } from './frames.ts'
import { isApproval, isSettled, purseIdOf, type Known } from './known.ts'
import { ModelPurse, type Group } from './modelPurses.ts'
import { postingOf } from './modelPostings.ts'
import { StandInModel } from './modelStandIn.ts'
import type { MessageKind, PlannedMessage } from './planned.ts'
import { RULES, type SimulatedCard } from './programme.ts'
import type { World } from './world.ts'

interface CardKnown {
  readonly card: SimulatedCard
  /** Stopped at, and since when it is good again; for any time in between it was stopped. */
  stops: { from: number; until: number }[]
  pinTries: number
  /** The same, where right PINs that were under way together with a wrong one have not started the count anew. */
  pinTriesAtMost: number
  lastWrongPinMs: number
  /** When its PIN was blocked. */
  pinBlockedAt: number
  /** Stand-in has counted a wrong PIN: nothing that Redis counted before starts anew until all of it is drained. */
  countedInRedis: boolean
}

export interface ModelParts {
  readonly world: World
  readonly tables: FakeTables
  readonly cards: readonly SimulatedCard[]
  /** Clocks disagree about the day: limits of a day are not judged. */
  readonly overMidnight: boolean
  /** Some process serves without Redis. */
  readonly isRedisAway: () => boolean
}

/** Said before anything is looked up, or of what nobody has stored: a format error, an unknown terminal or card, too many failures. */
const WITHOUT_ROW: readonly string[] = ['59']

/** Declines that are told only to who has shown the right PIN. */
const TELLS_RIGHT: readonly string[] = ['51', '61', '65']

export class Model {
  readonly #parts: ModelParts
  readonly #byKey = new Map<string, Known>()
  readonly #purses = new Map<number, ModelPurse>()
  readonly #cards = new Map<string, CardKnown>()
  readonly #durableAt = new Map<AuthorizationRow, number>()
  #read = 0
  readonly standIn: StandInModel

  constructor(parts: ModelParts) {
    this.#parts = parts
    this.standIn = new StandInModel({
      world: parts.world,
      known: (key) => this.#byKey.get(key),
      wrongPinCounted: (token) =>
        this.#ofCard(token, (card) => {
          card.countedInRedis = true
          this.#countAtMost(card)
        }),
      wrongPin: (known) => this.#ofCard(known.card.token, (card) => this.#tellWrong(known, card)),
      forget: () => {
        for (const card of this.#cards.values()) if (card.countedInRedis) card.pinTries = 0
        for (const { stood, row, forced } of this.#byKey.values())
          if (stood !== undefined && (forced ?? row) === undefined) stood.forgotten = true
      },
      pinTries: (token) => this.#cards.get(token)?.pinTries ?? 0,
      fail: (known, what) => this.#fail(known, what),
    })
    for (const { id, balance, version, cycle } of parts.tables.purses.values())
      this.#purses.set(id, new ModelPurse(id, balance, version, cycle))
    for (const card of parts.cards)
      this.#cards.set(card.token, {
        ...{ card, stops: [], pinTries: 0, pinTriesAtMost: 0, lastWrongPinMs: 0, pinBlockedAt: Infinity, countedInRedis: false },
      })
    this.#read = parts.tables.journal.length
  }

  get known(): Iterable<Known> {
    return this.#byKey.values()
  }

  /** A message is about to be sent for the first time. */
  add(composed: Composed, planned: PlannedMessage, kind: MessageKind, card: SimulatedCard, original: Known | undefined): Known {
    const key = keyOf(composed)
    const known: Known = {
      ...{ key, kind, composed, card, planned, original, firstArrivalMs: Infinity, copies: 0, row: undefined, forced: undefined },
      redisWasAway: false,
      isPinTold: false,
      ...{ givenBack: 0, givenBackToSuspense: 0, linked: 0, linkedAt: 0, reversedAt: 0, completed: false, hold: 0 },
      ...{ reversalTold: false, closedBy91: false, stood: undefined },
    }
    this.#byKey.set(key, known)
    return known
  }

  arrived(known: Known): void {
    known.firstArrivalMs = Math.min(known.firstArrivalMs, this.#parts.world.nowMs)
    known.redisWasAway ||= this.#parts.isRedisAway()
  }

  cardStopped(token: string): void {
    this.#cards.get(token)?.stops.push({ from: this.#parts.world.nowMs, until: Infinity })
  }

  cardGoodAgain(token: string): void {
    for (const stop of this.#cards.get(token)?.stops ?? []) if (stop.until === Infinity) stop.until = this.#parts.world.nowMs
  }

  /** Reads what has become durable since it last looked. */
  readJournal(): void {
    const { journal } = this.#parts.tables
    for (; this.#read < journal.length; this.#read++) {
      const row = journal[this.#read]
      if (row !== undefined) this.#read1(row)
    }
  }

  /** The switch has said something, whether or not anybody hears it. */
  answered(known: Known, answer: Answer): void {
    const { code } = answer
    const approved = isApproval(code)
    const row = known.forced ?? known.row
    if (this.#toldInStandIn(known, answer)) return
    if (code === '91') {
      // A copy without the repeat digit is as good as a first message: whoever is asked by it cannot know of the other.
      if (row !== undefined && isApproval(row.responseCode) && known.copies === 1)
        this.#fail(known, 'was told 91, and is approved')
      return
    }
    if (row === undefined) {
      if (!WITHOUT_ROW.includes(code)) this.#fail(known, `was told ${code}, and no decision of it is durable`)
    } else if (row.responseCode !== code) {
      this.#fail(known, `was told ${code}, and its decision is ${row.responseCode}`)
    } else if (code === '10' && answer.amount !== row.approved) {
      this.#fail(known, `was told ${answer.amount}, and ${row.approved} is approved`)
    }
    if (approved && known.kind === 'reversal' && known.original !== undefined) this.#reversalTold(known.original, known)
  }

  /** What is durable in a journal is told as it is there, before the ledger has it and after. @returns whether nothing more is to be said of the answer */
  #toldInStandIn(known: Known, { code, amount }: Answer): boolean {
    const { stood } = known
    if (stood === undefined) return false
    if ((stood.anew || stood.forgotten) && code !== stood.code) return false
    // Of two processes one has the ledger, and without Redis does not know that the other has declined it in stand-in.
    if (known.redisWasAway && !isApproval(stood.code) && !isApproval(code) && code !== stood.code) return false
    if (code === '91') {
      if (stood.durable && isApproval(stood.code) && known.copies === 1)
        this.#fail(known, 'was told 91, and is approved in a journal')
      return false
    }
    // What was taken back before it was drained says so from then on.
    const isReversed = known.row?.kind === 0 && known.forced === undefined
    if (stood.told && code !== stood.code && !isReversed) this.#fail(known, `was told ${stood.code} in stand-in, and ${code} now`)
    if (!stood.durable || code !== stood.code || (known.forced ?? known.row)?.responseCode === code) return false
    stood.told = true
    if (isApproval(code) && amount !== stood.approved) this.#fail(known, `was told ${amount}, and ${stood.approved} is approved`)
    return true
  }

  #ofCard(token: string, change: (card: CardKnown) => void): void {
    const card = this.#cards.get(token)
    if (card !== undefined) change(card)
  }

  /** A terminal hears 91 and gives up. */
  closedBy91(known: Known): void {
    known.closedBy91 = true
    this.#judgeClosed(known)
  }

  /** When all is quiet: what terminals were told, and what the books say. */
  atTheEnd(): void {
    for (const known of this.#byKey.values()) {
      if (known.reversalTold && this.owed(known) !== 0) this.#fail(known, `was reversed, and ${this.owed(known)} is still owed`)
      this.#judgeClosed(known)
      this.#judgeDrained(known)
    }
    for (const { token } of this.#parts.cards) {
      const tries = this.#parts.tables.cards.get(token)?.pinTries ?? 0
      if (tries > RULES.pinTries) this.#parts.world.fail(`${tries} wrong PINs of a card were counted`)
    }
    const held = new Map<number, number>()
    for (const { purseId, remaining } of this.#parts.tables.holds.values())
      held.set(purseId, (held.get(purseId) ?? 0) + remaining)
    for (const purse of this.#purses.values())
      if (purse.held !== (held.get(purse.id) ?? 0))
        this.#parts.world.fail(`purse ${purse.id} holds ${purse.held}, its holds come to ${held.get(purse.id) ?? 0}`)
    this.#judgeTransfers()
  }

  /** What was told in stand-in is in the ledger in the end, but for what was taken back before (adr/0022). */
  #judgeDrained(known: Known): void {
    const { stood } = known
    if (stood?.told !== true || stood.anew || (stood.forgotten && !isApproval(stood.code))) return
    const isPosted = isApproval((known.forced ?? known.row)?.responseCode ?? '')
    if (isApproval(stood.code) && !isPosted && !known.reversalTold)
      this.#fail(known, 'was told approved in stand-in, and is not posted')
    if (!isApproval(stood.code) && isPosted) this.#fail(known, `was told ${stood.code} in stand-in, and is posted`)
  }

  /** What a message still takes from its purse, or has given it. */
  owed(known: Known): number {
    const row = known.forced ?? known.row
    if (row === undefined || !isApproval(row.responseCode) || isSettled(known)) return 0
    return known.kind === 'authorization' ? known.hold : row.approved - known.givenBack
  }

  #read1(row: AuthorizationRow): void {
    const { world } = this.#parts
    if (row.key.startsWith('opening|')) return this.#opened(row)
    if (row.key.startsWith('release|')) return this.#released(row)
    const forced = row.key.endsWith('|F')
    const known = this.#byKey.get(forced ? row.key.slice(0, -2) : row.key)
    if (known === undefined) return world.fail(`a decision that no message asked for: ${row.key}`)
    this.#durableAt.set(row, world.nowMs)
    world.note(
      () =>
        `  durable: #${Number(known.composed.fields[11])} ${row.responseCode} ${row.approved / 100}${row.kind === 0 ? ' (tombstone)' : ''}`,
    )
    const before = known.row
    if (forced) known.forced = row
    else known.row = row
    if (forced && before !== undefined && isApproval(before.responseCode)) return this.#fail(known, 'was posted twice')
    if (row.kind === 0) return
    if (row.stoodInAt !== null && known.stood?.code !== row.responseCode)
      return this.#fail(known, `was drained as ${row.responseCode}, and no journal had it so`)
    if (!isApproval(row.responseCode)) return this.#declined(known, row)
    // A first message that comes again when the ledger is gone is decided anew, also where it was taken back before.
    if (row.stoodInAt !== null && known.stood?.anew === true) known.reversalTold = false
    if (known.reversalTold) return this.#fail(known, 'was approved after its reversal was answered')
    if (known.closedBy91) this.#judgeClosed(known)
    this.#approved(known, row)
  }

  #approved(known: Known, row: AuthorizationRow): void {
    const { world } = this.#parts
    const demand = !['reversal', 'completion', 'breadAdvice'].includes(known.kind)
    const card = this.#cards.get(known.card.token)
    if (
      demand &&
      row.stoodInAt === null &&
      card?.stops.some(({ from, until }) => from < world.nowMs && until > world.nowMs) === true
    )
      return this.#fail(known, 'was approved on a card that was stopped before')
    if (card !== undefined && known.planned.pin !== 'none' && known.kind !== 'reversal') {
      if (known.planned.pin === 'wrong') return this.#fail(known, 'was approved with a wrong PIN')
      if (card.pinTries >= RULES.pinTries && row.stoodInAt === null && !isRacing(known, card))
        return this.#fail(known, 'was approved with a PIN that is blocked')
      card.pinTries = 0
      if (!card.countedInRedis && row.stoodInAt === null) card.pinTriesAtMost = 0
    }
    const posting = postingOf(known, row, (id) => this.#purse(id))
    if (typeof posting === 'string') return this.#fail(known, posting)
    for (const { purseId, delta, held, balanceAfter, version } of posting.moves) {
      const purse = this.#purse(purseId)
      purse.balance += delta
      purse.held += held
      if (version !== ++purse.version)
        this.#fail(known, `took version ${version} of purse ${purseId}, which is at ${purse.version}`)
      if (purse.balance < 0 || purse.held < 0) this.#fail(known, `overdrew purse ${purseId}: ${purse.balance} and ${purse.held}`)
      if (balanceAfter !== purse.balance)
        this.#fail(known, `left ${balanceAfter} in purse ${purseId}, where ${purse.balance} should be`)
    }
    const day = cairoDay(Date.parse(row.decidedAt))
    const counter = posting.counter
    if (counter !== undefined) {
      const purse = this.#purse(posting.moves[0]?.purseId ?? 0)
      purse.add(counter.group, counter.day ?? day, counter.amount, counter.count)
      // What a completion comes to above its hold has been handed out already: it counts, and no limit stops it.
      if (known.kind !== 'completion') this.#judgeLimits(known, purse, counter.group, day, counter.amount)
    }
    for (const { purseId } of posting.moves) this.#purse(purseId).remember(world.nowMs, day)
  }

  #judgeLimits(known: Known, purse: ModelPurse, group: Group, day: string, amount: number): void {
    if (amount <= 0 || this.#parts.overMidnight) return
    const { amount: total, count } = purse.count(group, day)
    if (total > RULES[group].amount) this.#fail(known, `took the day's ${group} to ${total}`)
    if (count > RULES[group].count) this.#fail(known, `was number ${count} of the day's ${group}`)
  }

  /** A decline needs a reason that held at some time between the message's arrival and now. */
  #declined(known: Known, row: AuthorizationRow): void {
    const { world } = this.#parts
    if (row.approved !== 0 || row.purseVersion !== null) return this.#fail(known, 'was declined, and something was posted')
    const { responseCode: code } = row
    const { planned, card: shown } = known
    const card = this.#cards.get(shown.token)
    if (card === undefined) return
    if (row.stoodInAt !== null) {
      // It counts in the ledger now, and in Redis until the last journal is drained: a card may be refused a try early meanwhile.
      if (code === '55') this.#countAtMost(card)
      else if (planned.pin === 'right' && TELLS_RIGHT.includes(code)) card.pinTries = 0
    } else if (planned.pin !== 'none' && known.kind !== 'reversal') this.#pinTold(known, card, code)
    const since = known.firstArrivalMs
    const cash = this.#purse(shown.purses.cash)
    const purse = this.#purse(purseIdOf(known) ?? shown.purses.cash)
    const { amount } = planned
    const group: Group = known.kind === 'withdrawal' ? 'withdrawal' : 'spending'
    switch (code) {
      case '41':
        // A copy of the card may be old: the design lets that cost a false decline, and nothing else. Cards are told to Redis by another part.
        if (card.stops.length === 0) this.#fail(known, 'was told that the card is stopped, and it was not')
        return
      case '51': {
        const units = known.kind === 'bread' ? planned.loaves : amount
        const wallet = known.kind === 'bread' && terminalOf(planned.terminalId).wallet
        const short =
          purse.wasEver(since, ({ balance }) => balance < units) ||
          (wallet && cash.wasEver(since, ({ balance }) => balance < amount))
        if (!short) this.#fail(known, `was declined for funds, and there was enough all the time: ${purse.least(since)}`)
        return
      }
      case '61':
      case '65': {
        if (this.#parts.overMidnight || known.kind === 'ration' || known.kind === 'bread') return
        const { amount: max, count: countMax } = RULES[group]
        const reached = purse.wasEver(since, (then) => {
          const of = group === 'spending' ? then.spent : then.withdrawn
          return code === '61' ? of.amount + amount > max : of.count + 1 > countMax
        })
        if (!reached) this.#fail(known, `was declined for the day's limits (${code}), which it kept`)
        return
      }
      case '55':
        if (planned.pin !== 'wrong') this.#fail(known, 'was told that its PIN is wrong, and it is right')
        return
      case '75':
        if (card.pinBlockedAt > world.nowMs) this.#fail(known, 'was told that its PIN is blocked, and it is not')
        return
      case '25':
        this.#judgeNotFound(known)
        return
      case '64':
        if ((known.original?.linked ?? 0) === 0 && amount <= (known.original?.row?.approved ?? 0))
          this.#fail(known, 'was told that it exceeds its original, and it does not')
        return
      default:
        this.#fail(known, `was declined with ${code}, for which there is no reason`)
    }
  }

  #judgeNotFound({ original, ...known }: Known): void {
    const row = original?.forced ?? original?.row
    if (original === undefined || row === undefined || !isApproval(row.responseCode)) return
    const wasThere = Date.parse(row.decidedAt) < known.firstArrivalMs
    if (
      wasThere &&
      !original.completed &&
      original.card.token === known.card.token &&
      this.#journaledBefore(row, known.firstArrivalMs)
    )
      this.#fail({ original, ...known }, 'was told that its original is not there, and it was')
  }

  /** Clocks of processes may be off: what counts is when the decision became durable. */
  #journaledBefore(row: AuthorizationRow, atMs: number): boolean {
    return (this.#durableAt.get(row) ?? Infinity) < atMs
  }

  /** However many PINs come at once, no more of them are told apart than the card has tries. */
  #pinTold(known: Known, card: CardKnown, code: string): void {
    if (code === '55') {
      const isRace = isRacing(known, card)
      this.#tellWrong(known, card)
      this.#countAtMost(card)
      if (card.pinTries > RULES.pinTries && !isRace) this.#fail(known, `was wrong PIN number ${card.pinTries} that was told`)
    } else if (known.planned.pin === 'right' && TELLS_RIGHT.includes(code)) {
      if (card.pinTries >= RULES.pinTries && !isRacing(known, card))
        this.#fail(known, 'was told that a PIN is right that is blocked')
      card.pinTries = 0
      if (known.firstArrivalMs > card.lastWrongPinMs && !card.countedInRedis) card.pinTriesAtMost = 0
    }
  }

  #tellWrong(known: Known, card: CardKnown): void {
    if (!known.isPinTold) card.pinTries++
    known.isPinTold = true
  }

  #countAtMost(card: CardKnown): void {
    const { nowMs } = this.#parts.world
    card.pinTriesAtMost++
    card.lastWrongPinMs = nowMs
    if (card.pinTriesAtMost >= RULES.pinTries) card.pinBlockedAt = Math.min(card.pinBlockedAt, nowMs)
  }

  #reversalTold(original: Known, reversal: Known): void {
    original.reversalTold = true
    if (this.owed(original) !== 0) this.#fail(reversal, `was answered, and ${this.owed(original)} of its original is still owed`)
  }

  #judgeClosed(known: Known): void {
    if (known.closedBy91 && !known.reversalTold && this.owed(known) !== 0)
      this.#fail(known, `was told 91, once and for all, and ${this.owed(known)} is owed`)
  }

  /** A month begins: what is left of bread becomes points, ration expires. */
  #opened(row: AuthorizationRow): void {
    const purse = this.#purse(row.purseId ?? 0)
    const { tables, world } = this.#parts
    const kind = purse.id % 100
    const members = tables.purses.get(purse.id)?.members ?? 0
    const days = new Date(Date.UTC(Number(row.keyDate.slice(0, 4)), Number(row.keyDate.slice(5, 7)), 0)).getUTCDate()
    const issued = kind === RATION ? RULES.rationOf(members) : members * RULES.loavesEach * days
    if (row.approved !== issued || row.availableAfter !== issued)
      world.fail(`purse ${purse.id} was opened with ${row.approved}, and ${issued} is due`)
    if (purse.cycle === row.cycle) world.fail(`purse ${purse.id} was opened twice for ${row.keyDate}`)
    if (kind === BREAD && purse.balance > 0) {
      const points = this.#purse(purse.id + 1)
      points.balance += purse.balance * RULES.pointsEach
      points.version++
      points.remember(world.nowMs, '')
      if (row.secondAvailableAfter !== points.balance) world.fail(`purse ${points.id} got the wrong points`)
    }
    purse.balance = issued
    purse.version++
    purse.marks = 0
    purse.cycle = row.cycle
    purse.remember(world.nowMs, '')
  }

  #released(row: AuthorizationRow): void {
    const known = this.#byKey.get(row.key.slice('release|'.length))
    if (known === undefined) return this.#parts.world.fail(`a hold was released that nobody has: ${row.key}`)
    this.#fail(known, 'was released long before its end')
  }

  #judgeTransfers(): void {
    const sums = new Map<string, number>()
    for (const { debitCode, debitOwner, creditCode, creditOwner, amount } of this.#parts.tables.transfers) {
      const [debit, credit] = [`${debitCode} ${debitOwner}`, `${creditCode} ${creditOwner}`]
      sums.set(debit, (sums.get(debit) ?? 0) - amount)
      sums.set(credit, (sums.get(credit) ?? 0) + amount)
    }
    for (const purse of this.#purses.values()) {
      const account = ACCOUNTS[purse.id % 100] ?? CASH
      const transferred = sums.get(`${account} ${purse.id}`) ?? 0
      if (transferred !== purse.balance)
        this.#parts.world.fail(`transfers of purse ${purse.id} come to ${transferred}, it has ${purse.balance}`)
      const row = this.#parts.tables.purses.get(purse.id)
      if (row?.balance !== purse.balance || row.held !== purse.held || row.version !== purse.version)
        this.#parts.world.fail(`purse ${purse.id} has ${row?.balance} and ${row?.held}, not ${purse.balance} and ${purse.held}`)
    }
  }

  #purse(id: number): ModelPurse {
    const purse = this.#purses.get(id)
    if (purse === undefined) throw new RangeError(`no purse ${id}`)
    return purse
  }

  #fail(known: Known, what: string): void {
    this.#parts.world.fail(`#${Number(known.composed.fields[11])} (${known.kind}) ${what}`)
  }
}

/** Its PIN was under way with the ledger while stand-in told of a wrong one elsewhere, of which its process could not know. */
function isRacing(known: Known, card: CardKnown): boolean {
  return card.countedInRedis && (known.firstArrivalMs <= card.lastWrongPinMs || known.redisWasAway)
}

const CASH = 2000
const RATION = 92
const BREAD = 93
const ACCOUNTS: Readonly<Record<number, number>> = { 92: 2100, 93: 2110, 94: 2120 }
