/** Terminals as this process knows them: read from the ledger when first seen, and again when older than `freshMs`. */
import type { Terminal } from '../transaction/terminal.ts'

export interface TerminalRegistryOptions {
  readonly freshMs: number
  readonly terminalsMax: number
  readonly read: (terminalIds: readonly string[]) => Promise<Map<string, Terminal>>
}

interface Entry {
  /** Undefined: the programme has no such terminal. */
  readonly terminal: Terminal | undefined
  readonly readAtMs: number
}

export class TerminalRegistry {
  readonly #options: TerminalRegistryOptions
  readonly #entries = new Map<string, Entry>()

  constructor(options: TerminalRegistryOptions) {
    this.#options = options
  }

  /** What is known without asking; undefined where it is not known or not fresh enough. */
  known(terminalId: string, nowMs: number): Entry | undefined {
    const entry = this.#entries.get(terminalId)
    return entry !== undefined && nowMs - entry.readAtMs <= this.#options.freshMs ? entry : undefined
  }

  /** What was known, however long ago: for when the ledger cannot be asked. */
  stale(terminalId: string): Entry | undefined {
    return this.#entries.get(terminalId)
  }

  /** Reads terminals anew. @throws what `read` throws */
  async refresh(terminalIds: readonly string[], nowMs: number): Promise<void> {
    const found = await this.#options.read([...new Set(terminalIds)])
    for (const terminalId of terminalIds) {
      this.#entries.delete(terminalId)
      this.#entries.set(terminalId, { terminal: found.get(terminalId), readAtMs: nowMs })
    }
    // The longest unread go first: a Map keeps the order of insertion.
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#options.terminalsMax) break
      this.#entries.delete(oldest)
    }
  }
}
