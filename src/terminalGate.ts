/** Authenticate terminal: who is known may go on, if it came the way that it is bound to. */
import type { Clock } from './clock.ts'
import type { DeclineReason } from './decision/decision.ts'
import type { Ledger } from './ledger/ledger.ts'
import { TerminalRegistry, type TerminalRegistryOptions } from './ledger/terminalRegistry.ts'
import { errorText, type Logger } from './log.ts'
import type { Passage } from './passage.ts'
import { Stage, type StageOptions } from './stage.ts'
import { mayComeBy } from './transaction/origin.ts'

export interface TerminalGateParts {
  readonly config: { readonly registry: Omit<TerminalRegistryOptions, 'read'> }
  readonly ledger: Pick<Ledger, 'terminals'>
  readonly clock: Clock
  readonly log: Logger
  readonly stage: Omit<StageOptions<Passage>, 'run'>
  /** Its terminal is known and may have sent it. */
  readonly admit: (passage: Passage) => void
  readonly decline: (passage: Passage, reason: DeclineReason) => void
}

export class TerminalGate {
  readonly #parts: TerminalGateParts
  readonly #terminals: TerminalRegistry
  readonly #lookingUp: Stage<Passage>

  constructor(parts: TerminalGateParts) {
    this.#parts = parts
    this.#terminals = new TerminalRegistry({ ...parts.config.registry, read: (ids) => parts.ledger.terminals(ids) })
    this.#lookingUp = new Stage({ ...parts.stage, run: (batch) => this.#lookUp(batch) })
  }

  /** Calls `admit` or `decline`, once. */
  enter(passage: Passage): void {
    if (this.#terminals.known(passage.asked.terminalId, this.#parts.clock.now()) === undefined) this.#lookingUp.push(passage)
    else this.#judge(passage)
  }

  /** Those that are not known, or not freshly, are looked up together. */
  async #lookUp(batch: Passage[]): Promise<void> {
    const { clock, log } = this.#parts
    try {
      await this.#terminals.refresh(
        batch.map((passage) => passage.asked.terminalId),
        clock.now(),
      )
    } catch (error) {
      log.warn({ stage: 'authenticate', error: errorText(error) }, 'terminals cannot be looked up')
    }
    for (const passage of batch) this.#judge(passage)
  }

  #judge(passage: Passage): void {
    const { admit, decline } = this.#parts
    const entry = this.#terminals.stale(passage.asked.terminalId)
    if (entry === undefined) {
      decline(passage, 'cannot_decide')
      return
    }
    const { terminal } = entry
    passage.terminal = terminal
    if (terminal === undefined) decline(passage, 'terminal_unknown')
    else if (mayComeBy(terminal, passage.origin)) admit(passage)
    else this.#refuse(passage)
  }

  /** Whoever sent it is told nothing of that terminal, not even the stored answer of a key. */
  #refuse(passage: Passage): void {
    const { asked, origin } = passage
    const { terminalId } = asked
    this.#parts.log.info(
      { ...(origin.link === undefined ? {} : { link: origin.link }), terminalId },
      'a terminal came by another way than its own',
    )
    this.#parts.decline(passage, 'terminal_not_bound')
  }
}
