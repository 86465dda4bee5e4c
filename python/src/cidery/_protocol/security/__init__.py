"""How clients and workers prove who they are, and whom they trust."""
