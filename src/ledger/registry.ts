/** Reads terminals with their merchants. */
import type { MerchantState, Terminal, TerminalState } from '../transaction/terminal.ts'
import type { LedgerConnection, Statement } from './connection.ts'

interface TerminalRow {
  readonly id: string
  readonly terminal_id: string
  readonly class: string
  readonly state: TerminalState
  readonly certificate: string | null
  readonly link: string | null
  readonly mac_key: string | null
  readonly merchant_id: string
  readonly acceptor_id: string
  readonly category: string
  readonly merchant_state: MerchantState
  readonly wallet: boolean
  readonly offline: boolean
  readonly governorate: number
}

const READ_TERMINALS: Statement = {
  name: 'read_terminals',
  text: `
    SELECT t.id, t.terminal_id, t.class, t.state, t.wallet, t.offline, m.id AS merchant_id, m.acceptor_id, m.category, m.governorate,
      m.state AS merchant_state, coalesce(t.certificate, m.certificate) AS certificate, t.link, t.mac_key
    FROM terminal t JOIN merchant m ON m.id = t.merchant_id
    WHERE t.terminal_id = ANY ($1::text[])`,
}

/** @returns terminals by DE 41; an unknown one is absent */
export async function readTerminals(
  connection: LedgerConnection,
  terminalIds: readonly string[],
): Promise<Map<string, Terminal>> {
  const { rows } = await connection.run<TerminalRow>(READ_TERMINALS, [terminalIds])
  return new Map(
    rows.map((row) => [
      row.terminal_id,
      {
        id: Number(row.id),
        terminalId: row.terminal_id,
        class: row.class,
        state: row.state,
        wallet: row.wallet,
        offline: row.offline,
        certificate: row.certificate,
        link: row.link,
        macKey: row.mac_key,
        merchant: {
          id: Number(row.merchant_id),
          acceptorId: row.acceptor_id,
          category: row.category,
          state: row.merchant_state,
          governorate: row.governorate,
        },
      },
    ]),
  )
}
