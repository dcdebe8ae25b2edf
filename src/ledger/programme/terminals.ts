/** Terminals (DE 41) as the API makes, lists and changes them. */
import type { TerminalState } from '../../transaction/terminal.ts'
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export interface RegisteredTerminal {
  /** DE 41. */
  readonly terminalId: string
  /** DE 42 of its merchant. */
  readonly acceptorId: string
  readonly class: string
  readonly state: TerminalState
  readonly wallet: boolean
  readonly offline: boolean
  /** What its messages must come by; null: its merchant's certificate, any link, the link's key. */
  readonly certificate: string | null
  readonly link: string | null
  readonly macKey: string | null
  readonly version: number
}

export interface TerminalFilter {
  readonly state?: TerminalState | undefined
  readonly class?: string | undefined
  readonly acceptorId?: string | undefined
  readonly governorate?: number | undefined
}

const COLUMNS = `
  t.terminal_id AS "terminalId", m.acceptor_id AS "acceptorId", t.class, t.state, t.wallet, t.offline, t.certificate, t.link, t.mac_key AS "macKey",
  t.version::float8 AS version`
const FROM = 'FROM terminal t JOIN merchant m ON m.id = t.merchant_id'

const READ_TERMINAL: Statement = { name: 'read_terminal', text: `SELECT ${COLUMNS} ${FROM} WHERE t.terminal_id = $1` }
const LOCK_TERMINAL: Statement = {
  name: 'lock_terminal',
  text: `SELECT ${COLUMNS} ${FROM} WHERE t.terminal_id = $1 FOR NO KEY UPDATE OF t`,
}
const LIST_TERMINALS: Statement = {
  name: 'list_terminals',
  text: `
    SELECT ${COLUMNS} ${FROM}
    WHERE t.terminal_id > $1 AND ($3::text IS NULL OR t.state = $3) AND ($4::text IS NULL OR t.class = $4)
      AND ($5::text IS NULL OR m.acceptor_id = $5) AND ($6::smallint IS NULL OR m.governorate = $6)
    ORDER BY t.terminal_id LIMIT $2`,
}
const ADD_TERMINAL: Statement = {
  name: 'add_terminal',
  text: `
    INSERT INTO terminal (id, terminal_id, merchant_id, class, wallet, offline, certificate, link, mac_key)
    SELECT nextval('terminal_number'), $1, m.id, $3, $4, $5, $6, $7, $8 FROM merchant m WHERE m.acceptor_id = $2
    ON CONFLICT (terminal_id) DO NOTHING RETURNING id`,
}
const WRITE_TERMINAL: Statement = {
  name: 'write_terminal',
  text: `
    UPDATE terminal SET class = $2, state = $3, wallet = $4, offline = $5, certificate = $6, link = $7, mac_key = $8, version = version + 1
    WHERE terminal_id = $1 RETURNING id`,
}

type Row = RegisteredTerminal & Record<string, unknown>

export function readTerminal(tx: SqlTransaction, terminalId: string): Promise<RegisteredTerminal | undefined> {
  return tx.row<Row>(READ_TERMINAL, [terminalId])
}

export function lockTerminal(tx: SqlTransaction, terminalId: string): Promise<RegisteredTerminal | undefined> {
  return tx.row<Row>(LOCK_TERMINAL, [terminalId])
}

/** By DE 41, those after `after`, at most `countMax`. */
export function listTerminals(
  tx: SqlTransaction,
  after: string,
  countMax: number,
  filter: TerminalFilter,
): Promise<RegisteredTerminal[]> {
  const { state, class: terminalClass, acceptorId, governorate } = filter
  return tx.rows<Row>(LIST_TERMINALS, [
    after,
    countMax,
    state ?? null,
    terminalClass ?? null,
    acceptorId ?? null,
    governorate ?? null,
  ])
}

/** Of a merchant that is there. @returns false where DE 41 is another's already */
export async function addTerminal(tx: SqlTransaction, terminal: Omit<RegisteredTerminal, 'state' | 'version'>): Promise<boolean> {
  const { terminalId, acceptorId, class: terminalClass, wallet, offline, certificate, link, macKey } = terminal
  const values = [terminalId, acceptorId, terminalClass, wallet, offline, certificate, link, macKey]
  return (await tx.row(ADD_TERMINAL, values)) !== undefined
}

/** Writes one that is locked. */
export async function writeTerminal(tx: SqlTransaction, terminal: RegisteredTerminal): Promise<void> {
  const { terminalId, class: terminalClass, state, wallet, offline, certificate, link, macKey } = terminal
  await tx.row(WRITE_TERMINAL, [terminalId, terminalClass, state, wallet, offline, certificate, link, macKey])
}
