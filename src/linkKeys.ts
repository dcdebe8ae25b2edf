/**
 * The keys that links use now. The configuration names a key; a peer may send another in its place (0800, DE 70 161), in a key block under its
 * transport key. The new one is stored, and is in force on this process at once, on others when they look next, at the latest when a MAC
 * does not fit. The one before it stays good for a while, for messages in flight; an answer is authenticated with the key of its question.
 */
import type { Clock } from './clock.ts'
import type { MessageLink } from './settings.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { SessionKey } from './ledger/sessionKeys.ts'
import { errorText, type Logger } from './log.ts'
import type { Hsm } from './security/hsm.ts'
import { KeyBlockError } from './security/keyBlockHeader.ts'
import { KeyRefused, type KeyInfo } from './security/keys.ts'

export interface LinkKeysParts {
  readonly ledger: Pick<Ledger, 'sessionKeys' | 'addSessionKey'>
  readonly hsm: Pick<Hsm, 'importKey' | 'removeKey' | 'keys'>
  readonly clock: Clock
  readonly log: Logger
  /** How long the key before stays good. */
  readonly overlapMs: number
  /** How old what is known of the ledger may be. */
  readonly freshMs: number
}

interface InForce {
  readonly current: string
  readonly kcv: string
  readonly previous: string | undefined
  readonly sinceMs: number
}

export type KeyChange =
  | { readonly kind: 'changed'; readonly kcv: string }
  /** `reason` names what is wrong, without a key. */
  | { readonly kind: 'refused'; readonly reason: string }

export class LinkKeys {
  readonly #parts: LinkKeysParts
  #inForce = new Map<string, InForce>()
  /** Names that are not in force any more, and since when that is known. */
  readonly #retired = new Map<string, number>()
  #readMs = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined
  #cancel: (() => void) | undefined

  constructor(parts: LinkKeysParts) {
    this.#parts = parts
  }

  /** Reads what is in force and goes on doing so. */
  async start(): Promise<void> {
    await this.refresh()
    this.#watch()
  }

  stop(): void {
    this.#cancel?.()
  }

  /** The names under which a configured key is tried, newest first. */
  namesOf(base: string): readonly string[] {
    const known = this.#inForce.get(base)
    if (known === undefined) return [base]
    const inFlight = this.#parts.clock.now() - known.sinceMs < this.#parts.overlapMs
    return inFlight ? [known.current, known.previous ?? base] : [known.current]
  }

  /** Something came under a key that is not known here: another process may have been sent it. @returns whether it has looked */
  async missed(): Promise<boolean> {
    return this.refresh(Math.min(MISS_MS, this.#parts.freshMs))
  }

  /** Looks at the ledger again unless that was done just now. @returns whether it has looked */
  async refresh(freshMs = this.#parts.freshMs): Promise<boolean> {
    const { clock, log } = this.#parts
    if (clock.now() - this.#readMs < freshMs) return false
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    try {
      await this.#reading
      return true
    } catch (error) {
      log.warn({ stage: 'keys', error: errorText(error) }, 'keys of links cannot be read; those that are known stay in force')
      return false
    }
  }

  /**
   * Takes over the key that a peer has sent.
   *
   * @param block X9.143 key block under the link's transport key
   * @param kcv its check value as the peer knows it
   * @throws what the ledger throws where it cannot be stored: it is not in force then
   */
  async change(link: MessageLink, terminalId: string, block: string, kcv: string): Promise<KeyChange> {
    if (link.transportKey === undefined) return { kind: 'refused', reason: 'this link takes no keys' }
    if (!KCV.test(kcv)) return { kind: 'refused', reason: 'the key check value is not six hexadecimal digits' }
    const { hsm, clock } = this.#parts
    const under = keyOf(link.transportKey, terminalId)
    const name = `session.${kcv.toLowerCase()}-${String(clock.now())}`
    let change: KeyChange | undefined
    try {
      const info = await hsm.importKey(block, under, name)
      change = await this.#takeOver(link, terminalId, info, { name, block, under, kcv: kcv.toUpperCase() })
      return change
    } catch (error) {
      if (error instanceof KeyBlockError || error instanceof KeyRefused) return { kind: 'refused', reason: error.message }
      throw error
    } finally {
      if (change?.kind !== 'changed' || !this.#isInForce(name)) await hsm.removeKey(name)
    }
  }

  /** What was imported takes the place of a key of its kind, unless it is not what the peer meant, or has been there before. */
  async #takeOver(
    link: MessageLink,
    terminalId: string,
    info: KeyInfo,
    sent: Omit<SessionKey, 'base' | 'generation' | 'sinceMs'>,
  ): Promise<KeyChange> {
    const { ledger, hsm, clock } = this.#parts
    const { kcv } = info
    const refused = (reason: string): KeyChange => ({ kind: 'refused', reason })
    const base = baseOf(link, info.usage, info.algorithm, terminalId)
    if (base === undefined) return refused(`this link has no key for ${info.usage}`)
    if (kcv !== sent.kcv) return refused('the key check value is another')
    const configured = hsm.keys().find((key) => key.name === base)
    if (configured !== undefined && configured.usage !== info.usage) return refused(`${base} is a key for ${configured.usage}`)
    // The peer may not have heard our answer, or that of another process, and ask again.
    this.#readMs = Number.NEGATIVE_INFINITY
    await this.refresh()
    if (this.#inForce.get(base)?.kcv === kcv) return { kind: 'changed', kcv }
    if (configured?.kcv === kcv) return refused('this key was in force before')
    if (!(await ledger.addSessionKey({ ...sent, base, sinceMs: clock.now() }))) return refused('this key was in force before')
    this.#readMs = Number.NEGATIVE_INFINITY
    await this.refresh()
    return { kind: 'changed', kcv }
  }

  #isInForce(name: string): boolean {
    return [...this.#inForce.values()].some(({ current }) => current === name)
  }

  async #read(): Promise<void> {
    const { ledger, clock, hsm } = this.#parts
    const readMs = clock.now()
    const found = await ledger.sessionKeys()
    // Asked once: a token takes its time to list its keys.
    const here = new Set(found.length === 0 ? [] : hsm.keys().map(({ name }) => name))
    const inForce = new Map<string, InForce>()
    for (const key of found) {
      if (!here.has(key.name) && !(await this.#take(key))) continue
      inForce.set(key.base, {
        current: key.name,
        kcv: key.kcv,
        previous: inForce.get(key.base)?.current,
        sinceMs: key.sinceMs,
      })
    }
    const before = namesIn(this.#inForce)
    this.#inForce = inForce
    for (const name of before) if (!this.#retired.has(name)) this.#retired.set(name, readMs)
    await this.#forgetRetired()
    this.#readMs = readMs
  }

  /** Answers to what came under a key that is over are still authenticated with it, for as long as they may be under way. */
  async #forgetRetired(): Promise<void> {
    const { clock, hsm, overlapMs } = this.#parts
    const stillUsed = namesIn(this.#inForce)
    for (const [name, sinceMs] of this.#retired) {
      if (stillUsed.has(name)) this.#retired.delete(name)
      else if (clock.now() - sinceMs > overlapMs) {
        this.#retired.delete(name)
        await hsm.removeKey(name)
      }
    }
  }

  /** A key that another process was sent is opened here too. */
  async #take({ name, block, under, base }: SessionKey): Promise<boolean> {
    const { hsm, log } = this.#parts
    try {
      await hsm.importKey(block, under, name)
      return true
    } catch (error) {
      log.error({ stage: 'keys', key: base, error: errorText(error) }, 'a key that was sent cannot be opened')
      return false
    }
  }

  #watch(): void {
    const { clock, freshMs } = this.#parts
    this.#cancel = clock.after(Math.max(freshMs, 1000), () => {
      void this.refresh().finally(() => {
        this.#watch()
      })
    })
  }
}

/** Who sends what no key fits makes the ledger be asked no more often. */
const MISS_MS = 100
const KCV = /^[0-9a-f]{6}$/i

function namesIn(inForce: ReadonlyMap<string, InForce>): Set<string> {
  return new Set(
    [...inForce.values()].flatMap(({ current, previous }) => (previous === undefined ? [current] : [current, previous])),
  )
}

/** A name of the configuration that has {terminal} in it is one key a terminal. */
export function keyOf(name: string, terminalId: string): string {
  return name.replace('{terminal}', () => terminalId.toLowerCase())
}

/** The configured key that a key of this usage takes the place of. */
function baseOf(link: MessageLink, usage: string, algorithm: string, terminalId: string): string | undefined {
  const name =
    usage === 'M3' || usage === 'M6'
      ? link.mac?.key
      : usage === 'P0'
        ? algorithm === 'A'
          ? link.pin?.aesKey
          : link.pin?.tdesKey
        : undefined
  return name === undefined || (link.pin?.management === 'dukpt' && usage === 'P0') ? undefined : keyOf(name, terminalId)
}
