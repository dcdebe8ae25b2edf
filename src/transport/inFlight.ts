/**
 * Messages in flight over all links of a process, and what share of them a connection may have:
 *
 *     fewer than half of inFlightMax    as many as its own limit allows
 *     fewer than inFlightMax            an equal share of it
 *     more                              inFlightShareMin, which it always may have
 *
 * Those with more are not read from until they have less. So who floods waits for itself, and who has a message or two at a time never waits; nobody is
 * refused and nothing is thrown away.
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
    const { inFlightMax, inFlightShareMin } = this.#limits
    if (own < inFlightShareMin || this.#messages < inFlightMax / 2) return true
    return this.#messages < inFlightMax && own < this.#share
  }

  /** Whether one that had no room may be read from again: not before it has much less, or it would be stopped again at once. */
  mayGoOn(own: number): boolean {
    const { inFlightMax, inFlightShareMin } = this.#limits
    return own < inFlightShareMin || this.#messages < inFlightMax / 2 || own <= this.#share / 2
  }

  get #share(): number {
    return this.#limits.inFlightMax / Math.max(1, this.#connections)
  }
}
