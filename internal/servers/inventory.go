package servers

import (
	"context"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// The types of inventories.
type (
	Host             = inventory.Host
	Inventory        = inventory.Inventory
	InventoryOptions = inventory.Options
	Secret           = inventory.Secret
)

// LoadInventory reads inventories and ssh_config.
func LoadInventory(ctx context.Context, o InventoryOptions) (Inventory, error) {
	return inventory.Load(ctx, o)
}

// NewSecret returns a secret that is never printed.
func NewSecret(text string) Secret { return inventory.NewSecret(text) }

// A Login is how a user logs in to servers whose inventory leaves that open.
type Login struct {
	Sudo         bool   // become root on all of them
	Password     Secret // to log in
	SudoPassword Secret
}

// Complete adds the login to hosts. The inventory comes first.
func (l Login) Complete(hosts []Host) {
	for i := range hosts {
		h := &hosts[i]
		if l.Sudo && !h.Become.On {
			h.Become = inventory.Become{On: true, User: "root", Password: h.Become.Password}
		}
		if h.Become.Password.IsZero() {
			h.Become.Password = l.SudoPassword
		}
		if h.Password.IsZero() {
			h.Password = l.Password
		}
	}
}
