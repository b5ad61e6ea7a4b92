"""The door for people who look at pages: who they are, and what they are shown."""
