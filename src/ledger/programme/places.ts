/** Places where cards are collected. */
import type { Statement } from '../connection.ts'
import type { SqlTransaction } from './desk.ts'

export const PLACE_KINDS = ['post-office', 'supply-office', 'uhi-centre', 'diwan'] as const
export type PlaceKind = (typeof PLACE_KINDS)[number]

export interface Place {
  readonly placeId: string
  readonly kind: PlaceKind
  readonly governorate: number
  readonly nameAr: string
  readonly nameEn: string
  readonly address: string
  readonly version: number
}

const COLUMNS = `id AS "placeId", kind, governorate, name_ar AS "nameAr", name_en AS "nameEn", address, version::int`

const READ_PLACES: Statement = {
  name: 'read_places',
  text: `SELECT ${COLUMNS} FROM place WHERE id > $1 AND ($2::smallint IS NULL OR governorate = $2) ORDER BY id LIMIT $3`,
}
const READ_PLACE: Statement = { name: 'read_place', text: `SELECT ${COLUMNS} FROM place WHERE id = $1` }
const READ_DIWAN: Statement = {
  name: 'read_diwan',
  text: `SELECT ${COLUMNS} FROM place WHERE kind = 'diwan' AND governorate = $1`,
}

// Of two who add the same place, or a second Diwan, one gets no row.
const ADD_PLACE: Statement = {
  name: 'add_place',
  text: `
    INSERT INTO place (id, kind, governorate, name_ar, name_en, address) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
}
const LOCK_PLACE: Statement = { name: 'lock_place', text: `SELECT ${COLUMNS} FROM place WHERE id = $1 FOR NO KEY UPDATE` }
const CHANGE_PLACE: Statement = {
  name: 'change_place',
  text: `UPDATE place SET name_ar = $2, name_en = $3, address = $4, version = version + 1 WHERE id = $1 RETURNING ${COLUMNS}`,
}

/** In the order of their ids. */
export async function readPlaces(
  tx: SqlTransaction,
  { after, governorate, limit }: { readonly after: string; readonly governorate: number | undefined; readonly limit: number },
): Promise<Place[]> {
  return tx.rows<Place>(READ_PLACES, [after, governorate ?? null, limit])
}

export async function readPlace(tx: SqlTransaction, placeId: string): Promise<Place | undefined> {
  return tx.row<Place>(READ_PLACE, [placeId])
}

/** The Diwan of a governorate; undefined where it has none yet. */
export async function readDiwan(tx: SqlTransaction, governorate: number): Promise<Place | undefined> {
  return tx.row<Place>(READ_DIWAN, [governorate])
}

/** @returns undefined where there is such a place already, or a Diwan in its governorate */
export async function insertPlace(tx: SqlTransaction, place: Omit<Place, 'version'>): Promise<Place | undefined> {
  const { placeId, kind, governorate, nameAr, nameEn, address } = place
  return tx.row<Place>(ADD_PLACE, [placeId, kind, governorate, nameAr, nameEn, address])
}

export async function lockPlace(tx: SqlTransaction, placeId: string): Promise<Place | undefined> {
  return tx.row<Place>(LOCK_PLACE, [placeId])
}

export async function writePlace(
  tx: SqlTransaction,
  placeId: string,
  { nameAr, nameEn, address }: Pick<Place, 'nameAr' | 'nameEn' | 'address'>,
): Promise<Place | undefined> {
  return tx.row<Place>(CHANGE_PLACE, [placeId, nameAr, nameEn, address])
}
