/** Streams what the ledger holds as approved, for a client that kept a journal of its own: the load generator's check of itself. */
import { pipeline } from 'node:stream/promises'
import { Writable } from 'node:stream'
import { Client } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { UNIT_EGP } from '../money.ts'
import { KIND } from '../transaction/transaction.ts'

export interface LedgerApproval {
  readonly key: string
  readonly responseCode: string
  readonly purseId: number
  readonly approved: number
  /** Sum of the transfers of money that were posted with it, of a second purse too; piasters. */
  readonly transferred: number
  /** Sum of its transfers in another unit: what an entitlement purse gave or got back. */
  readonly units: number
}

export interface ApprovalsOptions {
  readonly terminalIds: readonly string[]
  /** UTC date and DE 7 (MMDDhhmmss) of the earliest keys that are asked for. By the key and not by the time of the decision: the
   * switch may run on another machine, with another clock. */
  readonly from: { readonly keyDate: string; readonly time: string }
  readonly onApproval: (approval: LedgerApproval) => void
}

/**
 * Calls `onApproval` with every approval of these terminals, in no order. One read of the ledger, in one snapshot; nothing is kept.
 *
 * @throws pg's DatabaseError
 */
export async function readApprovals(databaseUrl: string, options: ApprovalsOptions): Promise<void> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'sarf verification' })
  await client.connect()
  try {
    // Enough to join the transfers of some million decisions without files.
    await client.query(`SET work_mem = '256MB'`)
    await pipeline(client.query(copyTo(approvalsQuery(client, options))), linesTo(options.onApproval))
  } finally {
    await client.end()
  }
}

/** COPY takes no parameters. Releases of expired holds are the switch's own, and answer nobody. */
function approvalsQuery(client: Client, { terminalIds, from }: ApprovalsOptions): string {
  const date = client.escapeLiteral(from.keyDate)
  const terminals = terminalIds.map((id) => client.escapeLiteral(id)).join(',')
  return `COPY (
    WITH moved AS MATERIALIZED (
      SELECT purse_id, purse_version,
        coalesce(sum(amount) FILTER (WHERE unit = ${String(UNIT_EGP)}), 0) AS money,
        coalesce(sum(amount) FILTER (WHERE unit <> ${String(UNIT_EGP)}), 0) AS units
      FROM transfer WHERE key_date >= ${date} GROUP BY purse_id, purse_version
    )
    SELECT a.key, a.response_code, coalesce(a.purse_id, 0), a.approved,
      coalesce(own.money, 0) + coalesce(other.money, 0), coalesce(own.units, 0) + coalesce(other.units, 0)
    FROM "authorization" a
    LEFT JOIN moved own ON own.purse_id = a.purse_id AND own.purse_version = a.purse_version
    LEFT JOIN moved other ON other.purse_id = a.second_purse_id AND other.purse_version = a.second_version
    WHERE a.key_date >= ${date} AND a.terminal_id IN (${terminals}) AND a.response_code IN ('00', '10') AND a.kind <> ${String(KIND.release)}
      AND (a.key_date > ${date} OR split_part(a.key, '|', 3) >= ${client.escapeLiteral(from.time)})
  ) TO STDOUT`
}

function linesTo(onApproval: (approval: LedgerApproval) => void): Writable {
  let rest = ''
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      const lines = (rest + chunk.toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onApproval(approvalOf(line))
      done()
    },
  })
}

/** The columns hold no character that COPY's text format would escape: keys are made of digits, letters and bars. */
function approvalOf(line: string): LedgerApproval {
  const [key = '', responseCode = '', purseId, approved, transferred, units] = line.split('\t')
  return {
    key,
    responseCode,
    purseId: Number(purseId),
    approved: Number(approved),
    transferred: Number(transferred),
    units: Number(units),
  }
}
