/** One connection of the generator: its terminals, what is in flight on it, and the messages that are to follow approved ones. */
import type { MessageSpec } from '../../src/iso8583/messageSpec.ts'
import { connect, type Client } from '../../src/transport/client.ts'
import type { Framing } from '../../src/transport/framing.ts'
import type { Lane, SentMessage } from './journal.ts'
import type { MessageKind } from './messageKinds.ts'
import type { Moment } from './moment.ts'
import { MessageTemplate, repeatOf, type PanTable } from './template.ts'

export interface LinkTarget {
  readonly host: string
  readonly port: number
  readonly framing: Framing
  readonly spec: MessageSpec
}

export interface LinkEvents {
  payload(link: Link, payload: Buffer): void
  /** The connection is gone, and with it the answers to everything in flight. */
  lost(link: Link): void
  /** It is back. */
  restored(link: Link): void
}

/** What follows a message that was answered: another kind, or the same message once more. */
export interface FollowUp {
  readonly kind: MessageKind | 'repeat'
  readonly lane: Lane
  readonly n: number
}

export interface Sent {
  /** The number of the message in its lane. */
  readonly n: number
  readonly bytes: Buffer
}

const RECONNECT_MS = 200

export class Link {
  inFlight = 0
  readonly #target: LinkTarget
  readonly #events: LinkEvents
  readonly #pans: PanTable
  readonly #lanesByClass: ReadonlyMap<string, Lane>
  readonly #lanesByTerminal: ReadonlyMap<string, Lane>
  readonly #templates = new Map<Lane, Map<MessageKind, MessageTemplate>>()
  readonly #followUps: FollowUp[] = []
  #client: Client | undefined
  #closed = false

  constructor(target: LinkTarget, events: LinkEvents, pans: PanTable, lanes: Lane[]) {
    this.#target = target
    this.#events = events
    this.#pans = pans
    this.#lanesByClass = new Map(lanes.map((lane) => [lane.terminal.class, lane]))
    this.#lanesByTerminal = new Map(lanes.map((lane) => [lane.terminal.terminalId, lane]))
    for (const lane of lanes) this.#templates.set(lane, new Map())
  }

  get connected(): boolean {
    return this.#client !== undefined
  }

  /** @throws Error the operating system's */
  async open(): Promise<void> {
    const { host, port, framing } = this.#target
    const client = await connect({
      host,
      port,
      framing,
      onPayload: (payload) => this.#events.payload(this, payload),
      onClose: () => this.#lost(),
    })
    this.#client = client
    // A run that ended meanwhile has no use for it.
    if (this.#closed) client.destroy()
  }

  laneOfClass(terminalClass: string): Lane {
    const lane = this.#lanesByClass.get(terminalClass)
    if (lane === undefined) throw new RangeError(`a connection has a terminal of class ${terminalClass}`)
    return lane
  }

  laneOfTerminal(terminalId: string): Lane | undefined {
    return this.#lanesByTerminal.get(terminalId)
  }

  send(lane: Lane, message: SentMessage, moment: Moment, originalOf: number | undefined): Sent {
    const n = lane.add(message)
    const bytes = this.#template(lane, message.kind).message({
      household: message.household,
      amount: message.amount,
      loaves: message.loaves,
      stan: lane.stan(n),
      moment,
      original:
        originalOf === undefined ? undefined : { stan: lane.stan(originalOf), transmission: lane.transmission(originalOf) },
    })
    this.inFlight++
    this.#client?.send(bytes)
    return { n, bytes }
  }

  sendRepeat(bytes: Buffer): void {
    this.inFlight++
    this.#client?.send(repeatOf(this.#target.spec, bytes))
  }

  follow(followUp: FollowUp): void {
    this.#followUps.push(followUp)
  }

  nextFollowUp(): FollowUp | undefined {
    return this.#followUps.shift()
  }

  /** What is in flight was given up, and nothing is to follow. */
  reset(): void {
    this.inFlight = 0
    this.#followUps.length = 0
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#client?.close()
  }

  #template(lane: Lane, kind: MessageKind): MessageTemplate {
    const templates = this.#templates.get(lane)
    if (templates === undefined) throw new RangeError('a message is sent on a lane of its connection')
    let template = templates.get(kind)
    if (template === undefined) {
      template = new MessageTemplate(this.#target.spec, this.#pans, kind, lane.terminal)
      templates.set(kind, template)
    }
    return template
  }

  #lost(): void {
    this.#client = undefined
    if (this.#closed) return
    this.#followUps.length = 0
    this.#events.lost(this)
    this.inFlight = 0
    setTimeout(() => void this.#reopen(), RECONNECT_MS)
  }

  async #reopen(): Promise<void> {
    if (this.#closed) return
    try {
      await this.open()
    } catch {
      setTimeout(() => void this.#reopen(), RECONNECT_MS)
      return
    }
    this.#events.restored(this)
  }
}
