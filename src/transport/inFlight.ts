/**
 * Messages in flight over all links of a process, and what share of them a connection may have. As long as there are few, a connection may have as many as
 * its own limit allows. Beyond `inFlightMax` those with more than an equal share are not read from until they have less: who floods waits for itself, and
 * who has a message or two at a time never waits, since `inFlightShareMin` are always allowed. So nobody is refused and nothing is thrown away.
 */
import type { TransportLimits } from '../settings.ts'

export class InFlight {
  readonly #limits: Pick<TransportLimits, 'inFlightMax' | 'inFlightShareMin'>
  #messages = 0
  /** That have something in flight. */
  #connections = 0

  constructor(limits: Pick<TransportLimits, 'inFlightMax' | 'inFlightShareMin'>) {
    this.#limits = limits
  }

  get messages(): number {
    return this.#messages
  }

  /** @param own what the connection has in flight with this one */
  began(own: number): void {
    this.#messages++
    if (own === 1) this.#connections++
  }

  /** @param own what the connection still has in flight */
  ended(own: number): void {
    this.#messages--
    if (own === 0) this.#connections--
  }

  /** Whether a connection with so many in flight may have one more. */
  hasRoom(own: number): boolean {
    return this.#messages < this.#limits.inFlightMax || own < this.#share
  }

  /** Whether one that had no room may be read from again: not before it has much less, or it would be stopped again at once. */
  mayGoOn(own: number): boolean {
    return this.#messages < this.#limits.inFlightMax / 2 || own <= this.#share / 2
  }

  get #share(): number {
    const { inFlightMax, inFlightShareMin } = this.#limits
    return Math.max(inFlightShareMin, inFlightMax / Math.max(1, this.#connections))
  }
}
