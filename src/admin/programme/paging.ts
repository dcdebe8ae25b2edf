/** Pages of a list: `?cursor=&limit=` in, `next` out. What is in a cursor is nobody's business but that of the call that made it. */
import Type, { type TSchema } from 'typebox'

const LIMIT_MAX = 200
const LIMIT_DEFAULT = 50

// A query is text: what it says is read here.
export const pageQuery = {
  cursor: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9_-]{1,200}$',
      description: '`next` of the page before, as it came',
      examples: ['WzEyXQ'],
    }),
  ),
  limit: Type.Optional(
    Type.String({ pattern: '^([1-9]\\d?|1\\d\\d|200)$', description: 'items a page, 1 to 200 (50)', examples: ['50'] }),
  ),
}

export function limitOf({ limit }: { readonly limit?: string | undefined }): number {
  return Math.min(limit === undefined ? LIMIT_DEFAULT : Number(limit), LIMIT_MAX)
}

/** @param item with an example, which becomes that of the page */
export function pageSchema(item: TSchema & { readonly examples?: readonly unknown[] }): TSchema {
  return Type.Object(
    {
      items: Type.Array(item),
      next: Type.Union([Type.String(), Type.Null()], { description: 'cursor of the next page; null: this is the last' }),
    },
    { examples: [{ items: item.examples ?? [], next: null }] },
  )
}

/** @returns undefined where it is none of ours: a page from the beginning */
export function readCursor(cursor: string | undefined): readonly unknown[] | undefined {
  if (cursor === undefined) return undefined
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** @param items one more than the page has, where there is a next one */
export function pageOf<Item, Shown>(
  items: readonly Item[],
  limit: number,
  cursorOf: (item: Item) => readonly unknown[],
  show: (item: Item) => Shown,
): { items: Shown[]; next: string | null } {
  const page = items.slice(0, limit)
  const last = page.at(-1)
  const next =
    items.length > limit && last !== undefined ? Buffer.from(JSON.stringify(cursorOf(last))).toString('base64url') : null
  return { items: page.map(show), next }
}
