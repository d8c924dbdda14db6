package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/graph-gophers/graphql-go"
	"github.com/rs/zerolog"
)

// schemaText is the part of the public gateways' schema that clients of ao use.
// first, sort and op have no defaults here, because a default makes the library
// refuse an explicit null, which clients send; the resolvers set them.
const schemaText = `
type Query {
  "One transaction or data item, or null."
  transaction(id: ID!): Transaction
  "Transactions and data items that pass every filter given."
  transactions(
    ids: [ID!]
    owners: [String!]
    recipients: [String!]
    tags: [TagFilter!]
    bundledIn: [ID!]
    parent: [ID!]
    block: BlockFilter
    "Page size, at most 100; default 10."
    first: Int
    "Cursor of the last edge of the page before."
    after: String
    "Default HEIGHT_DESC."
    sort: SortOrder
  ): TransactionConnection!
  "The block with this indep_hash, or the current one."
  block(id: String): Block
  blocks(ids: [ID!], height: BlockFilter, first: Int, after: String, sort: SortOrder): BlockConnection!
}
enum SortOrder { HEIGHT_ASC HEIGHT_DESC INGESTED_AT_ASC INGESTED_AT_DESC }
enum TagOperator { EQ NEQ }
enum TagMatch { EXACT }
input TagFilter { name: String!, values: [String!]!, op: TagOperator, match: TagMatch }
input BlockFilter { min: Int, max: Int }
type TransactionConnection { pageInfo: PageInfo!, edges: [TransactionEdge!]!, count: String }
type TransactionEdge { cursor: String!, node: Transaction! }
type PageInfo { hasNextPage: Boolean! }
type Transaction {
  id: ID!
  anchor: String!
  signature: String!
  "Address, or an empty string."
  recipient: String!
  owner: Owner!
  fee: Amount!
  quantity: Amount!
  data: MetaData!
  tags: [Tag!]!
  "Seconds since 1970 at which the gateway took it."
  ingested_at: Int
  "Null until it is in a block."
  block: Block
  parent: Parent
  bundledIn: Bundle
}
type Owner { address: String!, key: String! }
type Amount { winston: String!, ar: String! }
type MetaData { size: String!, type: String }
type Tag { name: String!, value: String! }
type Parent { id: ID! }
type Bundle { id: ID! }
type Block { id: ID!, timestamp: Int!, height: Int!, previous: ID! }
type BlockConnection { pageInfo: PageInfo!, edges: [BlockEdge!]! }
type BlockEdge { cursor: String!, node: Block! }
`

// Bounds of one GraphQL query.
const (
	queryBytesMax      = 1 << 20
	queryTextBytesMax  = 64 << 10
	queryDepthMax      = 16
	querySelectionsMax = 2000
	queryTimeMax       = 10 * time.Second
)

func parseSchema(g *Gateway) (*graphql.Schema, error) {
	schema, err := graphql.ParseSchema(schemaText, &rootResolver{g},
		graphql.UseFieldResolvers(),
		graphql.UseStringDescriptions(),
		graphql.MaxDepth(queryDepthMax),
		graphql.MaxQueryLength(queryTextBytesMax),
		graphql.MaxSelections(querySelectionsMax),
		graphql.Logger(panicLogger{g.options.Logger}))
	if err != nil {
		return nil, fmt.Errorf("parse the GraphQL schema: %w", err)
	}
	return schema, nil
}

// panicLogger keeps the library from writing to the standard library's log.
type panicLogger struct{ zerolog.Logger }

func (l panicLogger) LogPanic(_ context.Context, value any) {
	l.Error().Interface("panic", value).Msg("GraphQL resolver panicked")
}
