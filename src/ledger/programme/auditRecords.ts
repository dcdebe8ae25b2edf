/** The audit trail, as auditors read it. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface AuditRecord {
  readonly number: number
  readonly at: Date
  readonly actor: string
  readonly roles: string
  readonly action: string
  readonly subject: string
  readonly outcome: 'done' | 'refused'
  /** JSON. */
  readonly detail: string
  /** Hexadecimal. */
  readonly hash: string
}

const LIST: Statement = {
  name: 'list_audit_records',
  text: `
    SELECT number::float8, at, actor, roles, action, subject, outcome, detail, encode(hash, 'hex') AS hash
    FROM audit_record
    WHERE ($1::text IS NULL OR subject = $1) AND ($2::text IS NULL OR actor = $2) AND ($3::bigint IS NULL OR number < $3)
    ORDER BY number DESC LIMIT $4`,
}

export interface AuditFilter {
  readonly subject?: string | undefined
  readonly actor?: string | undefined
  /** Records from before this one. */
  readonly before?: number | undefined
  readonly limit: number
}

/** The latest first. */
export async function listAuditRecords(tx: SqlTransaction, filter: AuditFilter): Promise<AuditRecord[]> {
  const { subject = null, actor = null, before = null, limit } = filter
  return tx.rows<AuditRecord>(LIST, [subject, actor, before, limit])
}
