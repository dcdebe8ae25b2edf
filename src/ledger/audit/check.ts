/** The result of one check of the auditor. */
export interface AuditCheck {
  readonly name: string
  readonly ok: boolean
  /** Things looked at, and how many of them are wrong. */
  readonly checked: number
  readonly failures: number
  /** Up to ten that are wrong, each with what is (`wrong`); of the information on suspense, what there is. No card data but tokens. */
  readonly examples: readonly Readonly<Record<string, unknown>>[]
  /** Why it was left out. */
  readonly skipped?: string
}

export const EXAMPLES_MAX = 10
