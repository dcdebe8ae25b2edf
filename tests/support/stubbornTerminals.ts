/**
 * Terminals that behave as terminals do: what is not answered in time is sent again as a repeat with the same key, over and over, also on a
 * new connection. They keep a journal of what they asked for and what they were told, and know nothing of the switch's own tables.
 */
import { encode, type FieldValues } from '../../src/iso8583/encode.ts'
import { decode } from '../../src/iso8583/decode.ts'
import { messageSpec } from '../../src/iso8583/messageSpec.ts'
import { demoPan, FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'
import { connect, type Client } from '../../src/transport/client.ts'
import { purseIdOfHousehold } from '../../src/programme/seed.ts'

export interface JournalEntry {
  readonly key: string
  readonly purseId: number
  readonly amount: number
  /** DE 39 of the answer; undefined while there is none. */
  responseCode: string | undefined
  /** How often it was sent, repeats included. */
  sent: number
  readonly firstSentAtMs: number
  answeredAtMs: number | undefined
}

interface Outstanding {
  readonly entry: JournalEntry
  readonly fields: FieldValues
  sentAtMs: number
}

const ACQUIRER = '00000818001'
const REPEAT_AFTER_MS = 1500
const TICK_MS = 100

interface TerminalsOptions {
  readonly port: number
  readonly terminals: number
  readonly households: number
  readonly inFlight: number
  /** What is not answered by then is sent again; what its connection did not live to answer, as soon as there is another one. */
  readonly repeatAfterMs?: number
  /** Between an answer and the next purchase; absent: none. */
  readonly pauseMs?: number
}
const spec = messageSpec('ascii')

export class StubbornTerminals {
  readonly journal: JournalEntry[] = []
  readonly #port: number
  readonly #households: number
  readonly #terminals: Terminal[]
  readonly repeatAfterMs: number
  readonly pauseMs: number
  approved = 0

  constructor(options: TerminalsOptions) {
    this.repeatAfterMs = options.repeatAfterMs ?? REPEAT_AFTER_MS
    this.pauseMs = options.pauseMs ?? 0
    this.#port = options.port
    this.#households = options.households
    this.#terminals = Array.from({ length: options.terminals }, (_, index) => new Terminal(index + 1, options.inFlight, this))
  }

  get port(): number {
    return this.#port
  }

  start(): void {
    for (const terminal of this.#terminals) terminal.start()
  }

  /** Nothing new; resolves when every message has been answered. */
  async finish(): Promise<void> {
    await Promise.all(this.#terminals.map((terminal) => terminal.finish()))
  }

  /** A part of the terminals is switched off for good: what they have not been told they never will be. */
  abandon(count: number): void {
    for (const terminal of this.#terminals.splice(0, count)) terminal.abandon()
  }

  nextHousehold(): number {
    return FIRST_PLAIN_HOUSEHOLD + Math.floor(Math.random() * (this.#households - FIRST_PLAIN_HOUSEHOLD))
  }
}

class Terminal {
  readonly #id: string
  readonly #number: number
  readonly #inFlight: number
  readonly #all: StubbornTerminals
  readonly #outstanding = new Map<string, Outstanding>()
  #client: Client | undefined
  #connecting = false
  #stan = 0
  #open = true
  #timer: NodeJS.Timeout | undefined
  #wake: (() => void) | undefined

  constructor(number: number, inFlight: number, all: StubbornTerminals) {
    this.#number = number
    this.#id = `POS${String(number).padStart(5, '0')}`
    this.#inFlight = inFlight
    this.#all = all
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#tick()
    }, TICK_MS)
    this.#tick()
  }

  async finish(): Promise<void> {
    this.#open = false
    if (this.#outstanding.size > 0) await new Promise<void>((resolve) => (this.#wake = resolve))
    this.abandon()
  }

  abandon(): void {
    this.#open = false
    clearInterval(this.#timer)
    this.#client?.destroy()
    this.#client = undefined
  }

  #tick(): void {
    if (this.#client === undefined) {
      void this.#connect()
      return
    }
    const now = Date.now()
    for (const one of this.#outstanding.values()) if (now - one.sentAtMs > this.#all.repeatAfterMs) this.#send(one, '0201')
    this.#fill()
  }

  async #connect(): Promise<void> {
    if (this.#connecting) return
    this.#connecting = true
    try {
      this.#client = await connect({
        host: '127.0.0.1',
        port: this.#all.port,
        framing: 'length2',
        onPayload: (payload) => {
          this.#answered(payload)
        },
        onClose: () => {
          this.#client = undefined
        },
      })
      for (const one of this.#outstanding.values()) this.#send(one, '0201')
      this.#fill()
    } catch {
      // The switch is not there: the next tick tries again.
    } finally {
      this.#connecting = false
    }
  }

  #fill(): void {
    while (this.#open && this.#client !== undefined && this.#outstanding.size < this.#inFlight) this.#purchase()
  }

  #purchase(): void {
    const stan = String(++this.#stan).padStart(6, '0')
    const time = new Date().toISOString().slice(5, 19).replaceAll(/[-T:]/g, '')
    const household = this.#all.nextHousehold()
    const amount = 100 + (this.#stan % 50)
    const fields: FieldValues = []
    fields[2] = demoPan(household)
    fields[3] = '000000'
    fields[4] = String(amount).padStart(12, '0')
    fields[7] = time
    fields[11] = stan
    fields[32] = ACQUIRER
    fields[37] = `${String(this.#number).padStart(6, '0')}${stan}`
    fields[41] = this.#id
    fields[49] = '818'
    const entry: JournalEntry = {
      key: `${ACQUIRER}|${this.#id}|${time}|${stan}|2`,
      purseId: purseIdOfHousehold(household),
      amount,
      responseCode: undefined,
      sent: 0,
      firstSentAtMs: Date.now(),
      answeredAtMs: undefined,
    }
    const one = { entry, fields, sentAtMs: 0 }
    this.#outstanding.set(stan, one)
    this.#all.journal.push(entry)
    this.#send(one, '0200')
  }

  #send(one: Outstanding, mti: string): void {
    const encoded = encode(spec, mti, one.fields)
    if (!encoded.ok) throw new Error(`${encoded.error.path}: ${encoded.error.expected}`)
    one.sentAtMs = Date.now()
    one.entry.sent++
    this.#client?.send(encoded.bytes)
  }

  #answered(payload: Buffer): void {
    const decoded = decode(spec, payload)
    if (!decoded.ok) throw new Error(`the answer cannot be read: ${decoded.error.path}`)
    const stan = decoded.message.text(11) ?? ''
    const one = this.#outstanding.get(stan)
    // A repeat and its original may both be answered: the first answer counts, the second must not differ.
    if (one === undefined) return
    this.#outstanding.delete(stan)
    one.entry.answeredAtMs = Date.now()
    one.entry.responseCode = decoded.message.text(39)
    if (one.entry.responseCode === '00') this.#all.approved++
    if (this.#outstanding.size === 0) this.#wake?.()
    if (this.#all.pauseMs === 0) this.#fill()
    else setTimeout(() => this.#fill(), this.#all.pauseMs)
  }
}
