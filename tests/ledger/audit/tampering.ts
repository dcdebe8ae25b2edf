/** A ledger that is right, somebody who changes it behind the switch's back, and the auditor that finds out. */
import { systemClock } from '../../../src/clock.ts'
import { audit, type AuditReport } from '../../../src/ledger/audit.ts'
import type { TestLedger } from '../../support/commitItems.ts'

export interface Tampering {
  /** Past the triggers, as somebody with the run of the database could. */
  tamper(statements: string): Promise<void>
  /** Puts everything back as it was. */
  restore(): Promise<void>
  prove(holdGraceMs?: number): Promise<AuditReport>
}

/** One row that is changed, the check that has to find it, and what it says. */
export interface TamperCase {
  readonly check: string
  readonly what: string
  readonly sql: () => string
  readonly wrong: RegExp
}

const TABLES = [
  'purse',
  'card',
  'hold',
  '"authorization"',
  'transfer',
  'merchant',
  'terminal',
  'card_life',
  'audit_record',
  'audit_head',
]

/** Keeps a copy of the ledger as it is now. */
export async function tamperingWith(ledger: TestLedger): Promise<Tampering> {
  for (const table of TABLES) await ledger.sql(`CREATE TABLE ${backup(table)} AS SELECT * FROM ${table}`)
  const tamper = async (statements: string): Promise<void> => {
    await ledger.sql(`BEGIN; SET LOCAL session_replication_role = replica; ${statements}; COMMIT`)
  }
  return {
    tamper,
    restore: () =>
      tamper(TABLES.map((table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM ${backup(table)}`).join(';')),
    prove: (holdGraceMs = 0) => audit({ databaseUrl: ledger.url, holdGraceMs, reservationAgeMs: 0, clock: systemClock }),
  }
}

function backup(table: string): string {
  return `backup_${table.replaceAll('"', '')}`
}

/** @returns what a check says is wrong, each sentence once */
export function complaints(report: AuditReport, check: string): unknown[] {
  const examples = report.checks.find((candidate) => candidate.name === check)?.examples ?? []
  return [...new Set(examples.map((example) => example['wrong']).filter((wrong) => wrong !== undefined))]
}
