"""Claude on Amazon Bedrock: the connection, the conversation, what it costs and how it fails."""
