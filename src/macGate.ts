/** Messages of links that demand a MAC: verified before anything else is made of them, and their answers authenticated, a batch a call. */
import type { Clock } from './clock.ts'
import type { MessageLink } from './settings.ts'
import type { Message } from './iso8583/message.ts'
import type { MessageSpec } from './iso8583/messageSpec.ts'
import { keyOf, type LinkKeys } from './linkKeys.ts'
import { errorText, type Logger } from './log.ts'
import type { Hsm, MacOutcome } from './security/hsm.ts'
import { coveredBy, macOf, writeMac } from './security/messageMac.ts'
import { Stage } from './stage.ts'

export interface MacGateParts {
  readonly hsm: Hsm
  readonly linkKeys: LinkKeys
  readonly log: Logger
  readonly batchMax: number
  readonly clock: Clock
}

interface Check {
  readonly names: readonly string[]
  readonly base: string
  readonly data: Buffer
  readonly given: Buffer
  readonly tell: (key: string | undefined) => void
}

interface Seal {
  readonly key: string
  readonly spec: MessageSpec
  readonly bytes: Buffer
  readonly tell: (sealed: boolean) => void
}

export class MacGate {
  readonly #parts: MacGateParts
  readonly #checking: Stage<Check>
  readonly #sealing: Stage<Seal>

  constructor(parts: MacGateParts) {
    this.#parts = parts
    const { batchMax, clock } = parts
    this.#checking = new Stage({ clock, batchMax, callsInFlightMax: 1, run: (batch) => this.#check(batch) })
    this.#sealing = new Stage({ clock, batchMax, callsInFlightMax: 1, run: (batch) => this.#seal(batch) })
  }

  /** The configured key of this link and terminal, whichever has taken its place. */
  baseOf(mac: NonNullable<MessageLink['mac']>, message: Message | undefined): string {
    return keyOf(mac.key, message?.text(41)?.trimEnd() ?? '')
  }

  /** The key that messages of this link and terminal are to be authenticated with. */
  keyOf(mac: NonNullable<MessageLink['mac']>, message: Message | undefined): string {
    return this.#parts.linkKeys.namesOf(this.baseOf(mac, message))[0] ?? mac.key
  }

  /** Tells the name of the key whose MAC the message carries; undefined where it carries none that fits. */
  verify(mac: NonNullable<MessageLink['mac']>, message: Message, frame: Buffer, tell: (key: string | undefined) => void): void {
    const found = macOf(message, frame)
    if (found === undefined) {
      tell(undefined)
      return
    }
    const base = this.baseOf(mac, message)
    this.#checking.push({ base, names: this.#parts.linkKeys.namesOf(base), ...found, tell })
  }

  /** Writes the MAC into an answer that was encoded with room for it. Tells false where that cannot be done: it must not go out. */
  seal(key: string, spec: MessageSpec, bytes: Buffer, tell: (sealed: boolean) => void): void {
    this.#sealing.push({ key, spec, bytes, tell })
  }

  async #check(batch: readonly Check[]): Promise<void> {
    const { linkKeys } = this.#parts
    const fitting = new Map<Check, string>()
    let left = await this.#fitting(batch, fitting)
    // Another process may have been sent a new key.
    if (left.length > 0 && (await linkKeys.missed())) {
      left = await this.#fitting(
        left.map((check) => ({ ...check, names: linkKeys.namesOf(check.base) })),
        fitting,
      )
    }
    for (const [{ tell }, key] of fitting) this.#guarded(() => tell(key))
    for (const { tell } of left) this.#guarded(() => tell(undefined))
  }

  /** Tries the keys of each message, newest first. @returns those that none fits */
  async #fitting(batch: readonly Check[], fitting: Map<Check, string>): Promise<readonly Check[]> {
    let left = batch
    for (let attempt = 0; left.length > 0 && left.some(({ names }) => names.length > attempt); attempt++) {
      const tried = left.filter(({ names }) => names.length > attempt)
      const verdicts = await this.#verdicts(tried.map(({ names, data, given }) => ({ key: names[attempt] ?? '', data, given })))
      const open: Check[] = left.filter(({ names }) => names.length <= attempt)
      for (const [index, check] of tried.entries()) {
        if (verdicts[index] === 'valid') fitting.set(check, check.names[attempt] ?? '')
        else open.push(check)
      }
      left = open
    }
    return left
  }

  async #verdicts(batch: Parameters<Hsm['verifyMacs']>[0]): ReturnType<Hsm['verifyMacs']> {
    try {
      return await this.#parts.hsm.verifyMacs(batch)
    } catch (error) {
      this.#parts.log.error({ stage: 'mac', count: batch.length, error: errorText(error) }, 'messages cannot be authenticated')
      return batch.map(() => 'refused' as const)
    }
  }

  async #seal(batch: readonly Seal[]): Promise<void> {
    const { hsm, log } = this.#parts
    let macs: readonly MacOutcome[] = []
    try {
      macs = await hsm.macs(batch.map(({ key, spec, bytes }) => ({ key, data: coveredBy(spec, bytes) })))
    } catch (error) {
      log.error({ stage: 'mac', count: batch.length, error: errorText(error) }, 'answers cannot be authenticated')
    }
    for (const [index, { spec, bytes, tell }] of batch.entries()) {
      const outcome = macs[index]
      if (outcome?.kind === 'made') writeMac(spec, bytes, outcome.mac)
      this.#guarded(() => tell(outcome?.kind === 'made'))
    }
  }

  /** A fault with one message costs no other anything. */
  #guarded(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#parts.log.error({ stage: 'mac', error: errorText(error) }, 'fault')
    }
  }
}
