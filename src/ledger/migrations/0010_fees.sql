-- Up Migration

-- card_life.fee_key names the decision that took the card's fee for as long as that is deferred (account 2300); null: there was none, or it has been
-- settled. Audited by audit/cardLives.sql.
CREATE INDEX card_life_fee ON card_life (shard, token) WHERE fee_key IS NOT NULL;

-- Proposals are listed from the latest on, and looked for by what they are about.
CREATE INDEX proposal_made ON proposal (made_at, id);
CREATE INDEX proposal_subject ON proposal (subject, kind) WHERE state = 'open';
